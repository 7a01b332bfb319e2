//! Policies, votes and resource data from the command line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Home, Place, keys};
use serde_json::json;

/// Ada's festival with Ben and Cleo, each known to the others by name.
fn three() -> (Place, [Home; 3]) {
    let place = Place::new();
    let homes = ["ada", "ben", "cleo"].map(|name| place.home(name));
    let [ada, ben, cleo] = &homes;
    let ticket = ada
        .id("ticket", &["festival", "create", "Meadow", "--zone", "Europe/Berlin", "--as", "Ada"]);
    for (home, name) in [(ben, "Ben"), (cleo, "Cleo")] {
        home.json(&["festival", "join", &ticket, "--as", name]);
        home.meet(ada);
    }
    ben.meet(ada);
    (place, homes)
}

fn event(home: &Home, title: &str, starts: &str, resource: &str) -> String {
    let added = home.json(&[
        "event",
        "add",
        title,
        "--starts",
        starts,
        "--for",
        "1h",
        "--request",
        resource,
    ]);
    added["requests"][0].as_str().unwrap().to_owned()
}

#[test]
fn voters_confirm_without_the_owner_and_everyone_sees_why() {
    let (_place, [ada, ben, cleo]) = three();
    let stage =
        ada.id("resource", &["resource", "add", "Stage", "--policy", "majority(ben, cleo)"]);
    ben.meet(&ada);
    cleo.meet(&ada);
    let shown = ada.text(&["resource", "list"]);
    assert!(
        shown.contains("majority(Ben, Cleo)") || shown.contains("majority(Cleo, Ben)"),
        "{shown}"
    );

    let request = event(&ada, "Fire show", "2026-08-20T21:00", "Stage");
    assert!(ada.refusal(&["vote", "confirm", &request]).contains("is yours"));
    ben.meet(&ada);
    cleo.meet(&ada);
    let waiting = ben.json(&["waiting"]);
    assert_eq!(keys(&waiting[0]), ["by", "event", "request", "resource", "what", "who"]);
    assert_eq!((&waiting[0]["what"], &waiting[0]["request"]), (&json!("vote"), &json!(request)));
    let voted = ben.json(&["vote", "confirm", &request, "--reason", "no fire indoors"]);
    assert_eq!(keys(&voted), ["decision", "request"]);
    assert!(ben.refusal(&["vote", "confirm", &request]).contains("confirmed already, by you"));
    assert!(ben.json(&["waiting"]).as_array().unwrap().is_empty());
    assert_eq!(ben.json(&["waiting", "--event", "Fire show"]).as_array().unwrap().len(), 1);

    cleo.json(&["vote", "confirm", &request]);
    cleo.meet(&ada);
    ben.meet(&ada);
    cleo.meet(&ada);
    for home in [&ada, &ben, &cleo] {
        let explained = home.json(&["explain", &request]);
        assert_eq!(
            keys(&explained),
            [
                "by",
                "event",
                "explanation",
                "findings",
                "request",
                "resource",
                "rests_on",
                "verdict"
            ]
        );
        assert_eq!(explained["verdict"]["verdict"], "confirmed");
        assert_eq!(explained["rests_on"].as_array().unwrap().len(), 2);
        assert_eq!(explained["verdict"]["conditions"], json!(["no fire indoors"]));
        assert_eq!(home.json(&["schedule"])[0]["confirmation"]["confirmed"], 1);
    }
    assert!(ada.text(&["explain", &request]).contains("by Ben no fire indoors"));
    assert!(ada.text(&["schedule"]).contains("100% confirmed"));

    // Ben promised that hour, and can take it back, with a reason.
    let rival = event(&ben, "Moon choir", "2026-08-20T21:30", &stage);
    assert!(ben.refusal(&["vote", "confirm", &rival]).contains("you cannot promise that"));
    ben.json(&["vote", "release", &request, "--reason", "too dry"]);
    assert_eq!(ben.json(&["explain", &request])["verdict"]["verdict"], "requested");
    assert!(
        ben.refusal(&["vote", "confirm", &request, "--reason", "no fire indoors"])
            .contains("say with")
    );
    ben.json(&["vote", "confirm", &rival]);
    assert!(ben.refusal(&["vote", "confirm", &request, "--reason", "wet"]).contains("do not fit"));
    let withdrawn = ben.json(&["request", "withdraw", &rival, "--reason", "the choir is ill"]);
    assert_eq!(keys(&withdrawn), ["request"]);
    assert!(ben.text(&["explain", &rival]).contains(": the choir is ill."));
}

#[test]
fn approvals_are_signed_by_the_steward() {
    let (_place, [ada, ben, cleo]) = three();
    ada.json(&["resource", "add", "Tent", "--policy", "manual"]);
    ada.json(&["resource", "add", "Badge", "--policy", "manual", "--capacity", "50"]);
    ada.json(&["resource", "edit", "Tent", "--policy", "any(2 of anyone, token(Badge))"]);
    ben.meet(&ada);
    let tea = event(&ben, "Tea", "2026-08-20T16:00", "Tent");
    ben.meet(&ada);
    cleo.meet(&ada);
    assert_eq!(ada.json(&["steward", "--once"]), json!({"confirmed": 0, "released": 0}));
    cleo.json(&["vote", "confirm", &tea]);
    cleo.meet(&ada);
    assert_eq!(ada.json(&["steward", "--once"]), json!({"confirmed": 0, "released": 0}));
    // Ben gets a badge instead.
    let badge = ben.json(&[
        "request",
        "add",
        "Tea",
        "Badge",
        "--starts",
        "2026-08-20T08:00",
        "--ends",
        "2026-08-20T22:00",
    ]);
    ben.meet(&ada);
    ada.json(&["decide", "confirm", badge["request"].as_str().unwrap()]);
    assert_eq!(ada.json(&["steward", "--once"]), json!({"confirmed": 1, "released": 0}));
    ben.meet(&ada);
    assert_eq!(ben.json(&["schedule"])[0]["confirmation"]["confirmed"], 2);
}

#[test]
fn lots_are_drawn_when_their_time_has_come() {
    let (_place, [ada, ben, cleo]) = three();
    ada.json(&["resource", "add", "Hut", "--policy", "draw(2020-01-01T00:00)"]);
    ada.json(&["resource", "add", "Cabin", "--policy", "draw(2120-01-01T00:00)"]);
    let mut requests = Vec::new();
    for (home, title) in [(&ben, "Sauna"), (&cleo, "Sleep")] {
        home.meet(&ada);
        requests.push(event(home, title, "2026-08-20T21:00", "Hut"));
        event(home, &format!("{title} elsewhere"), "2026-08-20T21:00", "Cabin");
        home.meet(&ada);
    }
    let waiting = ada.json(&["waiting"]);
    assert!(waiting.as_array().unwrap().iter().all(|task| task["what"] == "draw"), "{waiting}");
    assert_eq!(ada.json(&["steward", "--once"]), json!({"confirmed": 1, "released": 0}));
    for home in [&ben, &cleo] {
        home.meet(&ada);
    }
    let said = |home: &Home| {
        requests
            .iter()
            .map(|id| home.json(&["explain", id])["verdict"]["verdict"].clone())
            .collect::<Vec<_>>()
    };
    let mut drawn = said(&ben);
    assert_eq!(drawn, said(&ada));
    drawn.sort_by_key(|name| name.to_string());
    assert_eq!(drawn, [json!("confirmed"), json!("conflicted")]);
    assert!(ada.json(&["waiting"]).as_array().unwrap().iter().all(|task| task["what"] == "draw"));
}

#[test]
fn resources_say_when_and_how_much() {
    let (_place, [ada, ben, _]) = three();
    let slots = ["2026-08-20T08:00..2026-08-20T10:00", "2026-08-20T10:00..2026-08-20T12:00"];
    ada.json(&[
        "resource",
        "add",
        "Bar shift",
        "--capacity",
        "2",
        "--minimum",
        "1",
        "--slot",
        slots[0],
        "--slot",
        slots[1],
    ]);
    ada.json(&[
        "resource",
        "add",
        "Fund",
        "--capacity",
        "50",
        "--consumable",
        "--unit",
        "EUR",
        "--unit-amount",
        "10",
        "--policy",
        "manual",
    ]);
    ada.json(&[
        "resource",
        "add",
        "Stage",
        "--buffer-before",
        "30m",
        "--buffer-after",
        "15m",
        "--available",
        "2026-08-20T10:00..2026-08-21T02:00",
    ]);
    ben.meet(&ada);
    assert!(ben.text(&["resource", "list"]).contains("×50 × 10 EUR, used up"));
    let stage = ben.json(&["resource", "show", "Stage"]);
    assert_eq!(stage["buffer_before_ms"], 1_800_000);
    assert_eq!(stage["available"][0]["starts"], "2026-08-20T10:00:00+02:00");

    ben.json(&["event", "add", "Early", "--starts", "2026-08-20T08:00", "--for", "2h"]);
    assert_eq!(ben.json(&["request", "add", "Early", "Stage"])["verdict"], "outside");
    assert_eq!(ben.json(&["request", "add", "Early", "Bar shift"])["verdict"], "tentative");
    let money = ben.json(&["request", "add", "Early", "Fund", "--units", "12"]);
    assert_eq!(money["verdict"], "requested");
    ben.meet(&ada);
    ada.json(&["steward", "--once"]);
    let filling = &ada.json(&["resource", "show", "Bar shift"])["slots"];
    assert_eq!(
        filling[0]["filling"],
        json!({"confirmed": 1, "tentative": 0, "minimum": 1, "maximum": 2})
    );
    let shown = ada.text(&["resource", "show", "Bar shift"]);
    assert!(shown.contains("0 of 1 to 2, not enough yet"), "{shown}");
    // One of two is confirmed: the shift; the stage is outside and the fund is not answered.
    assert_eq!(
        ben.json(&["schedule"])[0]["confirmation"],
        json!({"confirmed": 0, "tentative": 1, "requested": 3})
    );
    ben.meet(&ada);
    assert!(ben.text(&["schedule"]).contains("33% confirmed"));
}

#[test]
fn policies_without_sense_are_refused_with_how_to_write_them() {
    let (_place, [ada, _, _]) = three();
    let before = ada.fingerprint();
    for (policy, why) in [
        ("lottery", "is no policy; write manual, first-come"),
        ("majority(ada, ben)", "names the owner as a voter"),
        ("majority()", "it names no voter"),
        ("3 of (ben, cleo)", "needs 3 votes of 2 voters"),
        ("many of (ben)", "is no number of votes"),
        ("majority(zoe)", "nobody here is called \"zoe\""),
        ("all(manual", "lacks a closing bracket"),
        ("manual)", "behind its end"),
        ("token(Badge)", "there is no resource"),
        ("all(all(all(all(all(manual)))))", "deep"),
        ("draw(soon)", "is not a time"),
    ] {
        let message = ada.refusal(&["resource", "add", "Stage", "--policy", policy]);
        assert!(message.contains(why), "{policy}: {message}");
    }
    for (args, why) in [
        (&["--available", "2026-08-20T10:00"][..], "is not a span"),
        (&["--slot", "2026-08-20T10:00..2026-08-20T10:00"], "ends before it starts"),
        (&["--buffer-after", "soon"], "is not a duration"),
    ] {
        let message = ada.refusal(&[&["resource", "add", "Stage"], args].concat());
        assert!(message.contains(why), "{message}");
    }
    assert_eq!(ada.fingerprint(), before);
}
