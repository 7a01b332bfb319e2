use p2panda_core::{EntityId, UserId, schema::PolicySpec};

use crate::{Case, Policy, Scope, Verdict, n_of_m::named_voters, params, votes::poll};

/// `majority`: more than half of the named voters. [`NOfM`](crate::NOfM) says what votes do.
///
/// Parameter: `voters`, a map from user ids to true.
#[derive(Clone, Copy, Debug, Default)]
pub struct Majority;

impl Majority {
    /// The policy as data.
    #[must_use]
    pub fn spec(voters: impl IntoIterator<Item = UserId>) -> PolicySpec {
        params::spec("majority", [("voters", params::voters_value(voters))])
    }
}

impl Policy for Majority {
    fn kind(&self) -> &'static str {
        "majority"
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), String> {
        params::only(scope.spec(), &["voters"])?;
        match named_voters(scope)? {
            Some(_) => Ok(()),
            None => Err("it names no voter".to_owned()),
        }
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let voters = named_voters(&case.scope()).ok().flatten().unwrap_or_default();
        poll(case, &voters, voters.len() / 2 + 1)
    }

    fn hears(&self, scope: &Scope<'_>, user: &UserId) -> bool {
        named_voters(scope).ok().flatten().is_some_and(|voters| voters.contains(user))
    }
}
