//! `panda resource`

use anyhow::{Result, bail};
use p2panda_core::schema::{PolicySpec, Resource};
use serde_json::{Value, json};

use crate::{
    app::{App, Names},
    cli::ResourceCommand,
    output::{Table, plain},
};

pub(super) fn run(app: &mut App, command: &ResourceCommand) -> Result<()> {
    match command {
        ResourceCommand::Add { title, policy, capacity, description, tags } => {
            if title.trim().is_empty() {
                bail!("a resource needs a title");
            }
            let resource = Resource {
                title: title.trim().to_owned(),
                description: description.clone(),
                tags: tags.iter().cloned().collect(),
                capacity: *capacity,
                policy: PolicySpec::new(policy.name()),
                ..Resource::default()
            };
            let festival = app.festival()?;
            let id = app.edit(festival, |edit| Ok(edit.create(&resource)?))?;
            app.out.answer(&json!({"resource": id}), || {
                format!("Offered \"{}\" as {}.", plain(&resource.title), id.local)
            })
        }
        ResourceCommand::List => list(app),
    }
}

fn list(app: &App) -> Result<()> {
    let view = app.view(app.festival()?);
    let names = Names::of(view)?;
    let mut values = Vec::new();
    let mut table = Table::default();
    for (id, resource) in view.list::<Resource>()? {
        let resource = match resource {
            Ok(resource) => resource,
            Err(malformed) => {
                app.out.note(format_args!("resource {id} is left out: {malformed}"));
                continue;
            }
        };
        let owner = view.author(&id.document)?;
        values.push(json!({
            "id": id,
            "title": resource.title,
            "capacity": resource.capacity,
            "policy": resource.policy.kind,
            "owner": owner,
            "mine": owner == Some(app.user()),
            "tags": resource.tags,
        }));
        let units =
            if resource.capacity == 1 { String::new() } else { format!("×{}", resource.capacity) };
        let owner = owner.map_or_else(String::new, |owner| format!("by {}", names.of_user(&owner)));
        table.row([
            id.local.to_string(),
            units,
            plain(&resource.policy.kind),
            owner,
            plain(&resource.title),
        ]);
    }
    app.out.answer(&Value::Array(values), || table.render(""))
}
