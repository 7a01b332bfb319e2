//! `panda festival follow` and `panda festival link`: how much of festivals is kept, and which belong
//! together.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use p2panda_core::{
    DocumentDescriptor, DocumentId, FestivalId, MAX_DOCUMENTS, Replica, Subscription, Ticket,
    UserId, schema::FestivalLink,
};
use serde_json::json;

use crate::{
    app::App,
    cli::{FollowArgs, LinkArgs},
    ids,
    output::{count, plain},
};

pub(super) fn follow(app: &mut App, args: &FollowArgs) -> Result<()> {
    let festival = app.festival()?;
    let mut subscription = app.device.replica.subscription(festival);
    if args.all {
        subscription.documents = None;
    } else if !args.only.is_empty() {
        subscription.documents = Some(documents_of(app, festival, &args.only)?);
    }
    if let Some(depth) = args.depth {
        subscription.depth = depth;
    }
    app.device.replica.subscribe(festival, subscription.clone())?;
    let joined = app.device.replica.follow_links()?;
    let Subscription { documents, depth } = subscription;
    let number = documents.as_ref().map(BTreeSet::len);
    app.out.answer(
        &json!({"festival": festival, "documents": documents, "depth": depth, "joined": joined}),
        || {
            let kept = match number {
                None => "All of the festival is kept here.".to_owned(),
                Some(number) => format!(
                    "{} of the festival are kept here, and what you write yourself.",
                    count(number, "document")
                ),
            };
            let links = match (depth, joined.len()) {
                (0, _) => String::new(),
                (depth, 0) => format!("\nFestivals that it names are followed {depth} deep."),
                (_, joined) => format!("\nYou take part in {} more.", count(joined, "festival")),
            };
            format!("{kept}{links}")
        },
    )
}

/// What some users wrote, as far as it is known here, and what the founder says of the festival.
fn documents_of(app: &App, festival: FestivalId, names: &[String]) -> Result<BTreeSet<DocumentId>> {
    let replica = &app.device.replica;
    let named = names.iter().map(|name| ids::user(app.view(festival), name));
    let users: BTreeSet<UserId> = named.collect::<Result<_>>()?;
    let founder = replica.festival(festival)?.map(|festival| festival.founder());
    let unlabelled = |user| DocumentDescriptor { festival, user, label: String::new() }.id();
    let mut documents: BTreeSet<_> = users.iter().copied().chain(founder).map(unlabelled).collect();
    documents.extend(held_of(replica, festival, &users)?);
    if documents.len() > MAX_DOCUMENTS {
        bail!(
            "that is {}, and no more than {MAX_DOCUMENTS} can be kept singly; name fewer people, or \
             keep all",
            count(documents.len(), "document")
        );
    }
    Ok(documents)
}

fn held_of(
    replica: &Replica,
    festival: FestivalId,
    users: &BTreeSet<UserId>,
) -> Result<Vec<DocumentId>> {
    let mut held = Vec::new();
    for (log, _) in replica.logs(festival)? {
        let descriptor = replica.descriptor(&log.document)?;
        if descriptor.is_some_and(|descriptor| users.contains(&descriptor.user)) {
            held.push(log.document);
        }
    }
    Ok(held)
}

pub(super) fn link(app: &mut App, args: &LinkArgs) -> Result<()> {
    let festival = app.festival()?;
    let ticket: Ticket = args.ticket.parse()?;
    let other = ticket.festival.id();
    if other == festival {
        bail!("that is the ticket of this festival itself");
    }
    let founder = app.device.replica.festival(festival)?.map(|festival| festival.founder());
    let is_mine = founder == Some(app.user());
    let link = FestivalLink {
        ticket: ticket.to_string(),
        title: args.title.clone(),
        relation: "nested".to_owned(),
    };
    // One link for each festival: linked again, it is written over.
    let local = format!("link-{}", &other.to_string()[..20]).parse()?;
    app.edit(festival, |edit| Ok(edit.put(&local, &link)?))?;
    if !is_mine {
        app.out.note(format_args!(
            "you did not found this festival: others see the link, and nobody follows it by itself"
        ));
    }
    app.out.answer(&json!({"festival": festival, "linked": other}), || {
        format!(
            "Linked {}. Who follows this festival with a depth joins it too.",
            plain(&args.title)
        )
    })
}
