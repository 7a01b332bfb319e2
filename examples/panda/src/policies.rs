//! Policies as people write them: `majority(ada, ben, cleo)`, `all(token(Badge), first-come)`.

use anyhow::{Result, bail};
use p2panda_core::{
    EntityId, UserId,
    schema::{PolicySpec, Value},
    view::View,
};
use p2panda_policy::{
    All, Any, ByDraw, FirstCome, Majority, Manual, NOfM, Otherwise, Token, UnlessConflict,
};

use crate::{app::Names, ids, output::plain, time};

/// What the text of a policy refers to.
pub(crate) struct Reader<'a> {
    pub(crate) view: View<'a>,
    pub(crate) zone: jiff::tz::TimeZone,
    /// The secret seed of the resource whose policy it is.
    pub(crate) seed: [u8; 32],
}

/// How policies can be written.
pub(crate) const SYNTAX: &str = "manual, first-come, majority(A, B, C), 2 of (A, B, C), 2 of \
                                 anyone, unless-conflict(POLICY), all(POLICY, ...), any(POLICY, \
                                 ...), otherwise(POLICY, POLICY), token(RESOURCE), draw(TIME)";

/// A word, and what stands in brackets behind it.
struct Term {
    word: String,
    inner: Option<Vec<Self>>,
}

impl Reader<'_> {
    /// The policy that a text means.
    pub(crate) fn read(&self, text: &str) -> Result<PolicySpec> {
        let mut rest = text;
        let term = term(&mut rest, 0)?;
        if !rest.trim().is_empty() {
            bail!("the policy has {:?} behind its end; write {SYNTAX}", plain(rest));
        }
        self.policy(&term)
    }

    fn policy(&self, term: &Term) -> Result<PolicySpec> {
        let inner = || term.inner.as_deref().unwrap_or_default();
        let word = term.word.to_lowercase();
        Ok(match (word.as_str(), inner()) {
            ("manual", []) => Manual::spec(),
            ("first-come", []) => FirstCome::spec(),
            ("majority", voters) => Majority::spec(self.users(voters)?),
            ("all", members) => All::of(self.policies(members)?),
            ("any", members) => Any::of(self.policies(members)?),
            ("otherwise", [first, then]) => Otherwise::of(self.policy(first)?, self.policy(then)?),
            ("unless-conflict", [fallback]) => UnlessConflict::or_else(self.policy(fallback)?),
            ("token", [resource]) => Token::spec(&ids::resource(self.view, leaf(resource)?)?.0),
            ("draw", [closes]) => ByDraw::spec(&self.seed, time::parse(leaf(closes)?, &self.zone)?),
            (word, voters) => match word.split_once(" of") {
                Some((n, " anyone")) => NOfM::anyone(number(n)?),
                Some((n, "")) => NOfM::named(number(n)?, self.users(voters)?),
                _ => bail!("{:?} is no policy; write {SYNTAX}", plain(word)),
            },
        })
    }

    fn policies(&self, members: &[Term]) -> Result<Vec<PolicySpec>> {
        members.iter().map(|member| self.policy(member)).collect()
    }

    fn users(&self, voters: &[Term]) -> Result<Vec<UserId>> {
        voters.iter().map(|voter| ids::user(self.view, leaf(voter)?)).collect()
    }
}

fn leaf(term: &Term) -> Result<&str> {
    if term.inner.is_some() {
        bail!("{:?} stands where a name is expected; write {SYNTAX}", plain(&term.word));
    }
    Ok(&term.word)
}

fn number(text: &str) -> Result<i64> {
    text.trim().parse().or_else(|_| bail!("{:?} is no number of votes", plain(text)))
}

fn term(rest: &mut &str, depth: usize) -> Result<Term> {
    if depth > 8 {
        bail!("the policy stands too deep within itself");
    }
    let end = rest.find(['(', ')', ',']).unwrap_or(rest.len());
    let (word, behind) = rest.split_at(end);
    *rest = behind;
    let word = word.trim().to_owned();
    let Some(behind) = rest.strip_prefix('(') else { return Ok(Term { word, inner: None }) };
    *rest = behind;
    let mut inner = Vec::new();
    loop {
        let part = term(rest, depth + 1)?;
        if !part.word.is_empty() {
            inner.push(part);
        }
        *rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix(',') {
            *rest = behind;
        } else if let Some(behind) = rest.strip_prefix(')') {
            *rest = behind;
            return Ok(Term { word, inner: Some(inner) });
        } else {
            bail!("the policy lacks a closing bracket; write {SYNTAX}");
        }
    }
}

/// A policy in the form in which it can be written; kinds that are not known by their name.
pub(crate) fn shown(spec: &PolicySpec, names: &Names) -> String {
    let member = |value: &Value| match value {
        Value::Map(fields) => {
            let kind = fields.get("kind").and_then(Value::as_text).unwrap_or("?");
            let params = match fields.get("params") {
                Some(Value::Map(params)) => params.clone(),
                _ => Default::default(),
            };
            shown(&PolicySpec { kind: kind.to_owned(), params }, names)
        }
        _ => "?".to_owned(),
    };
    let param = |name: &str| spec.params.get(name);
    let voters = || match param("voters") {
        Some(Value::Map(voters)) => {
            let name = |id: &String| id.parse().map_or_else(|_| plain(id), |id| names.of_user(&id));
            format!("({})", voters.keys().map(name).collect::<Vec<_>>().join(", "))
        }
        _ => " anyone".to_owned(),
    };
    let part = |name: &str| param(name).map_or_else(|| "?".to_owned(), member);
    match spec.kind.as_str() {
        "majority" => format!("majority{}", voters()),
        "n-of-m" => match param("n") {
            Some(Value::Int(n)) if param("voters").is_some() => format!("{n} of {}", voters()),
            Some(Value::Int(n)) => format!("{n} of anyone"),
            _ => "n-of-m".to_owned(),
        },
        kind @ ("all" | "any") => match param("of") {
            Some(Value::Map(of)) => {
                format!("{kind}({})", of.values().map(member).collect::<Vec<_>>().join(", "))
            }
            _ => kind.to_owned(),
        },
        "otherwise" => format!("otherwise({}, {})", part("first"), part("then")),
        "unless-conflict" => format!("unless-conflict({})", part("else")),
        "token" => {
            let id = param("resource").and_then(Value::as_text).unwrap_or("?");
            let short = |id: EntityId| id.local.to_string();
            format!("token({})", id.parse().map_or_else(|_| plain(id), short))
        }
        "draw" => match param("closes") {
            Some(Value::Instant(closes)) => {
                format!("draw({})", time::rfc3339(*closes, &jiff::tz::TimeZone::UTC))
            }
            _ => "draw".to_owned(),
        },
        kind => plain(kind),
    }
}
