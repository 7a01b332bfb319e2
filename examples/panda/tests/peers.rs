//! Tickets and peers that are not what they should be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use common::Place;

#[test]
fn a_wrong_ticket_joins_nothing() {
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let ticket = ada.found("Meadow");
    let mut wrong = ticket.clone();
    let letter = if wrong.pop() == Some('a') { 'e' } else { 'a' };
    wrong.push(letter);
    for (ticket, why) in [
        ("hello", "this is not a ticket"),
        ("", "this is not a ticket"),
        ("panda1", "damaged"),
        (&ticket[..ticket.len() - 3], "damaged"),
        (&wrong, "damaged"),
    ] {
        let message = ben.refusal(&["festival", "join", ticket]);
        assert!(message.contains(why), "{ticket}: {message}");
    }
    assert!(ben.json(&["festival", "list"]).as_array().unwrap().is_empty());
}

#[test]
fn with_the_ticket_of_another_festival_nothing_is_exchanged() {
    let place = Place::new();
    let [ada, ben, eve] = ["ada", "ben", "eve"].map(|name| place.home(name));
    ada.found("Meadow");
    let other = eve.found("Beach");
    assert!(ben.refusal(&["sync", "127.0.0.1:1"]).contains("join one first"));
    ben.json(&["festival", "join", &other]);
    let (before, hers) = (ben.fingerprint(), ada.fingerprint());
    let served = ada.serve();
    let message = ben.refusal(&["sync", &served.address]);
    assert!(message.contains("takes part in none of your festivals"), "{message}");
    served.stop();
    assert_eq!((ben.fingerprint(), ada.fingerprint()), (before, hers));
}

#[test]
fn an_address_that_nobody_serves_is_told_so() {
    let place = Place::new();
    let home = place.home("ada");
    home.found("Meadow");
    let before = home.fingerprint();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert!(home.refusal(&["sync", &free]).contains("nobody serves at"));
    for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999", ""] {
        let message = home.refusal(&["sync", address]);
        assert!(message.contains("is no address; write HOST:PORT"), "{address}: {message}");
    }
    assert!(home.refusal(&["serve", "--listen", "nowhere"]).contains("cannot listen on"));
    assert_eq!(home.fingerprint(), before);
}

#[test]
fn a_peer_that_is_no_panda_is_told_apart() {
    let place = Place::new();
    let home = place.home("ada");
    home.found("Meadow");
    let before = home.fingerprint();
    for (answer, why) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..],
            "does not speak as a panda does",
        ),
        (&[0, 0, 0, 4, 2, 255, 255, 255], "does not speak as a panda does"),
        (b"", "closed before a link was made"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(answer).unwrap();
            if !answer.is_empty() {
                // Until the other side has gone.
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        let message = home.refusal(&["sync", &address]);
        assert!(message.contains(why), "{message}");
        other.join().unwrap();
    }
    assert_eq!(home.fingerprint(), before);
}

#[test]
fn a_stranger_who_talks_nonsense_does_not_end_the_serving() {
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let ticket = ada.found("Meadow");
    ben.json(&["festival", "join", &ticket]);
    let served = ada.serve();
    let mut stream = std::net::TcpStream::connect(&served.address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let silent = std::net::TcpStream::connect(&served.address).unwrap();
    // A panda's length and nothing behind it; a link's first message and no other.
    let mut half = std::net::TcpStream::connect(&served.address).unwrap();
    half.write_all(&[0, 32]).unwrap();
    let mut gone = std::net::TcpStream::connect(&served.address).unwrap();
    gone.write_all(&[&[0, 32][..], &[9; 32]].concat()).unwrap();
    drop(gone);
    ben.json(&["sync", &served.address]);
    drop((stream, silent, half));
    served.stop();
    assert_eq!(ada.fingerprint(), ben.fingerprint());
}
