//! Valid payloads, mutated: whatever still passes must be sound.

use std::collections::{BTreeMap, HashSet};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use super::{
    chunk::{Chunk, Dice, repair_checksum},
    history::{Device, incarnation},
    oracle::{Oracle, contents},
    *,
};

type Entry = (Incarnation, Vec<u8>);

/// A payload to mutate, and documents to offer the mutations to.
struct Base {
    entry: Entry,
    position: u64,
    /// Its causal past, and then everything that does not depend on it.
    past: Vec<Entry>,
    beside: Vec<Entry>,
    /// A document of its past, and one of all of these.
    documents: [Document; 2],
}

fn built(entries: &[Entry]) -> Document {
    let mut document = Document::new(USER);
    for (writer, payload) in entries {
        let position = document.length(writer);
        assert!(matches!(document.offer(*writer, position, payload), Outcome::Valid(_)));
    }
    document
}

/// A history of three devices with every kind of operation, in an order in which all of it passes.
fn history() -> Vec<Entry> {
    let mut devices: Vec<Device> = (0..3).map(Device::new).collect();
    let mut order: Vec<Entry> = Vec::new();
    let mut go = |devices: &mut Vec<Device>,
                  at: usize,
                  from: &[usize],
                  edit: &dyn Fn(&mut Draft)| {
        for from in from {
            let [to, from] = devices.get_disjoint_mut([at, *from]).unwrap();
            to.merge(from);
        }
        let own = devices[at].incarnation;
        let before = devices[at].logs.get(&own).map_or(0, Vec::len);
        devices[at].edit(|draft| edit(draft));
        order.extend(devices[at].logs[&own][before..].iter().map(|payload| (own, payload.clone())));
    };
    let put = |path: &'static [&'static str], value: Value| {
        move |draft: &mut Draft| draft.put(&local("e"), path, &value).unwrap()
    };
    let place = Value::Map([("x".to_owned(), 1.into()), ("y".to_owned(), true.into())].into());
    go(&mut devices, 0, &[], &put(&["title"], "Opening".into()));
    go(&mut devices, 1, &[0], &put(&["place"], place));
    go(&mut devices, 2, &[0], &put(&["place"], "a scalar".into()));
    go(&mut devices, 0, &[1], &|draft| {
        draft.put(&local("e"), &["place", "x"], &2.into()).unwrap();
        draft.put(&local("e"), &["title"], &"Changed".into()).unwrap();
        draft.put(&local("e"), &["when"], &Instant::from_millis(5).into()).unwrap();
        draft.put(&local("e"), &["none"], &Value::Null).unwrap();
        draft.put(&local("f"), &["title"], &"Another".into()).unwrap();
        draft.delete(&local("e"), &["place", "y"]);
        draft.record(b"a record".to_vec());
    });
    go(&mut devices, 2, &[0], &put(&["place", "z"], Value::Bytes(b"bytes".to_vec())));
    go(&mut devices, 1, &[0, 2], &put(&["place"], "all at once".into()));
    go(&mut devices, 0, &[], &put(&["title"], "long ".repeat(100).as_str().into()));
    go(&mut devices, 1, &[], &|draft| draft.delete(&local("f"), &[]));
    go(&mut devices, 2, &[1, 0], &|draft| draft.delete(&local("e"), &["title"]));
    go(&mut devices, 0, &[1, 2], &|draft| {
        draft.delete(&local("e"), &[]);
        draft.put(&local("e"), &["title"], &"anew".into()).unwrap();
    });
    order
}

fn bases(history: &[Entry]) -> Vec<Base> {
    let hash = |entry: &Entry| decoded(&entry.1).hash.unwrap();
    let base = |(at, entry): (usize, &Entry)| {
        let mut past: HashSet<ChangeHash> = HashSet::from([hash(entry)]);
        for other in history[..=at].iter().rev() {
            if past.contains(&hash(other)) {
                past.extend(decoded(&other.1).deps);
            }
        }
        let mut after: HashSet<ChangeHash> = HashSet::from([hash(entry)]);
        for other in &history[at..] {
            if decoded(&other.1).deps.iter().any(|dep| after.contains(dep)) {
                after.insert(hash(other));
            }
        }
        let of = |is: &dyn Fn(&ChangeHash) -> bool| -> Vec<Entry> {
            let all = history.iter().filter(|other| is(&hash(other)) && hash(other) != hash(entry));
            all.cloned().collect()
        };
        let is_past = |hash: &ChangeHash| past.contains(hash);
        let is_beside = |hash: &ChangeHash| !past.contains(hash) && !after.contains(hash);
        let (past, beside) = (of(&is_past), of(&is_beside));
        let documents = [built(&past), built(&[&past[..], &beside].concat())];
        let position = documents[0].length(&entry.0);
        Base { entry: entry.clone(), position, past, beside, documents }
    };
    history.iter().enumerate().map(base).collect()
}

/// What became of the mutations, by kind.
#[derive(Debug, Default)]
struct Tally(BTreeMap<String, u32>);

impl Base {
    /// Offers a mutated payload. The verdict must be the same whatever else has arrived; what
    /// passes must read alike in every order, anew and in Automerge, which must save and load it,
    /// and leave an honest writer able to go on.
    fn offer(&mut self, payload: &[u8], tally: &mut Tally) {
        let kind = |document: &Document| {
            let Document { changes, places, .. } = document;
            let known = Known { user: &USER, changes, places };
            match gate::judge(known, &self.entry.0, self.position, payload) {
                Ok(gate::Gate::Passed(_)) => "valid".to_owned(),
                Ok(gate::Gate::Waiting(_)) => "waiting".to_owned(),
                Err(refusal) => format!("{refusal:?}"),
            }
        };
        let [least, most] = self.documents.each_ref().map(kind);
        // A dependency can be here or not; all else is the same.
        assert!(least == most || least == "waiting", "{least} and {most}");
        let passed = most == "valid";
        *tally.0.entry(most).or_default() += 1;
        if passed {
            self.is_sound(payload);
        }
    }

    fn is_sound(&self, payload: &[u8]) {
        let entry = (self.entry.0, payload.to_vec());
        let orders = [
            [&self.past[..], &self.beside, std::slice::from_ref(&entry)].concat(),
            [&self.past[..], std::slice::from_ref(&entry), &self.beside].concat(),
        ];
        let dependencies = decoded(payload).deps;
        let late =
            self.beside.iter().any(|other| dependencies.contains(&decoded(&other.1).hash.unwrap()));
        let mut document = built(&orders[0]);
        if !late {
            assert_eq!(contents(&built(&orders[1])), contents(&document));
        }
        let bytes: usize = orders[0].iter().map(|(_, payload)| payload.len()).sum();
        assert!(document.bytes() <= 64 * bytes, "{} of {bytes}", document.bytes());
        let Oracle(automerge) = Oracle::of(orders[0].iter().map(|(_, payload)| payload));
        let saved = automerge::Automerge::load(&automerge.save()).unwrap();
        assert_eq!(saved.get_heads(), automerge.get_heads());
        assert_eq!(Oracle(saved).read(), contents(&document));
        write(&mut document, A, |draft| draft.put(&local("e"), &["x"], &1.into()).unwrap());
    }
}

/// Longer runs: `P2PANDA_MUTATIONS=1000000 cargo test --release -p p2panda-core --lib mutated`
fn runs() -> u32 {
    let runs = std::env::var("P2PANDA_MUTATIONS").ok().and_then(|runs| runs.parse().ok());
    runs.unwrap_or(20_000)
}

#[test]
fn mutated_structures_never_panic_and_what_passes_is_sound() {
    let history = history();
    let mut bases = bases(&history);
    let mut tally = Tally::default();
    for base in &mut bases {
        let payload = base.entry.1.clone();
        base.offer(&payload, &mut tally);
    }
    assert_eq!(tally.0.len(), 1, "all pass as they are: {tally:?}");
    let hashes: Vec<Vec<u8>> =
        history.iter().map(|(_, payload)| decoded(payload).hash.unwrap().0.to_vec()).collect();
    let mut actors: Vec<Vec<u8>> =
        (0..4).map(|n| actor(&USER, &incarnation(n)).to_bytes().to_vec()).collect();
    actors.push(actor(&UserId::from_bytes([8; 32]), &A).to_bytes().to_vec());
    actors.push(vec![7; 32]);
    let mut dice = Dice(ChaCha20Rng::seed_from_u64(3));
    for _ in 0..runs() {
        let at = dice.below(bases.len());
        let base = &mut bases[at];
        let mut chunk = Chunk::parse(&base.entry.1);
        for _ in 0..[1, 1, 1, 2, 3, 5][dice.below(6)] {
            chunk.mutate(&mut dice, &hashes, &actors);
        }
        base.offer(&chunk.encode(), &mut tally);
    }
    if std::env::var_os("P2PANDA_MUTATIONS").is_some() {
        println!("{tally:#?}");
    }
    assert!(tally.0["valid"] > 10, "{tally:?}");
    assert!(tally.0.len() > 15, "most rules are met: {tally:?}");
}

#[test]
fn mutated_bytes_never_panic_and_what_passes_is_sound() {
    let history = history();
    let mut bases = bases(&history);
    let mut tally = Tally::default();
    for base in &mut bases {
        let good = base.entry.1.clone();
        for at in 8..good.len().min(300) {
            for bit in 0..8 {
                let mut mutated = good.clone();
                mutated[at] ^= 1 << bit;
                repair_checksum(&mut mutated);
                base.offer(&mutated, &mut tally);
            }
        }
    }
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for _ in 0..runs() {
        let at = rng.next_u32() as usize % bases.len();
        let base = &mut bases[at];
        let mut mutated = base.entry.1.clone();
        for _ in 0..1 + rng.next_u32() % 4 {
            let at = 9 + rng.next_u32() as usize % (mutated.len() - 9);
            match rng.next_u32() % 4 {
                0 => mutated[at] = rng.next_u32().to_le_bytes()[0],
                1 => mutated[at] ^= 1 << (rng.next_u32() % 8),
                2 => mutated.insert(at, rng.next_u32().to_le_bytes()[0]),
                _ => drop(mutated.remove(at)),
            }
        }
        // Keep the frame whole, so that the inside is reached.
        if rng.next_u32() % 4 > 0 && mutated[9] & 0x80 != 0 && mutated.len() > 11 {
            let body = mutated.len() - 11;
            mutated[9] = u8::try_from(body & 0x7f).unwrap() | 0x80;
            mutated[10] = u8::try_from(body >> 7).unwrap();
        }
        repair_checksum(&mut mutated);
        base.offer(&mutated, &mut tally);
    }
    assert!(tally.0["valid"] > 0, "some mutations only change a text or the time");
}
