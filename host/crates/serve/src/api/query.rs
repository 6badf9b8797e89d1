use std::str::FromStr;

use super::problem::Problem;

/// The parameters of a request. An unknown one is an error, and so is one that is given twice.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses what stands behind `?`. No value that the API takes needs an escape.
    pub(super) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let shown: String = name.chars().take(40).flat_map(char::escape_default).collect();
            if !known.contains(&name) {
                let problem = Problem::bad("unknown-parameter", format!("there is no parameter \"{shown}\" here"));
                return Err(problem.hint(format!("known are: {}", known.join(", "))));
            }
            if pairs.iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::bad("bad-parameter", format!("{name} is given twice")));
            }
            pairs.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self(pairs))
    }

    /// A value as it was written.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parsed value.
    pub(super) fn value<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let shown: String = text.chars().take(80).flat_map(char::escape_default).collect();
        let bad = |_| Problem::bad("bad-parameter", format!("{name} is \"{shown}\", it must be {what}"));
        text.parse().map(Some).map_err(bad)
    }

    /// Whether a switch is on: `follow`, `follow=true`.
    pub(super) fn is_on(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            Some("") => Ok(true),
            _ => Ok(self.value(name, "true or false")?.unwrap_or(false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_known_and_given_once() {
        let known = ["limit", "follow"];
        let query = Query::parse(Some("limit=5&follow"), &known).unwrap();
        assert_eq!(query.value::<u32>("limit", "a number").unwrap(), Some(5));
        assert!(query.is_on("follow").unwrap());
        assert!(!Query::parse(None, &known).unwrap().is_on("follow").unwrap());
        for (query, code) in [("limits=5", "unknown-parameter"), ("limit=1&limit=2", "bad-parameter")] {
            assert_eq!(Query::parse(Some(query), &known).unwrap_err().code, code);
        }
        let wrong = Query::parse(Some("limit=-1"), &known).unwrap();
        assert!(wrong.value::<u32>("limit", "a number").unwrap_err().detail.contains("limit is \"-1\""));
    }
}
