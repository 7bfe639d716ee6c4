//! The named questions, each of which is one SQL query over `flows`; and any other SQL.

use crate::error::LakeError;

/// Rows of an answer where nobody says how many.
const LIMIT: usize = 20;

/// Which records a named question looks at, and how many rows it answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Milliseconds since 1970: records that began at or after.
    pub from_ms: Option<i64>,
    /// Records that began before.
    pub to_ms: Option<i64>,
    /// A condition in SQL: `dport = 22 AND in_subnet(src, '10.0.0.0/8')`.
    pub condition: Option<String>,
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter { from_ms: None, to_ms: None, condition: None, limit: LIMIT }
    }
}

/// What a lake or files are asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Who sends most: flows, packets and bytes by sender.
    TopTalkers(Filter),
    /// What was rejected, by port and rule.
    Rejected(Filter),
    /// How many different receivers each sender had.
    Destinations(Filter),
    /// How many different receivers each sender had in each minute.
    FanOut(Filter),
    /// Who talks to whom on what.
    Pairs(Filter),
    /// Pairs that did not talk before `since_ms`; by default before the last day of the records.
    NewPairs { filter: Filter, since_ms: Option<i64> },
    /// Flows, packets and bytes by action over time.
    Series { filter: Filter, step_seconds: u32 },
    /// A query over the table `flows`.
    Sql(String),
}

/// The names of the questions, as `named` takes them.
pub const NAMES: [&str; 7] =
    ["top-talkers", "rejected", "destinations", "fan-out", "pairs", "new-pairs", "series"];

/// The step of a time series where nobody says, in seconds.
const STEP_SECONDS: u32 = 300;

impl Question {
    /// The question of a name.
    pub fn named(name: &str, filter: Filter) -> Option<Question> {
        Some(match name {
            "top-talkers" => Question::TopTalkers(filter),
            "rejected" => Question::Rejected(filter),
            "destinations" => Question::Destinations(filter),
            "fan-out" => Question::FanOut(filter),
            "pairs" => Question::Pairs(filter),
            "new-pairs" => Question::NewPairs { filter, since_ms: None },
            "series" => Question::Series { filter, step_seconds: STEP_SECONDS },
            _ => return None,
        })
    }

    /// The SQL that answers it, here and on a cluster.
    pub fn sql(&self) -> String {
        match self {
            Question::Sql(sql) => sql.clone(),
            Question::TopTalkers(filter) => filter.ask(
                "src, count(*) AS flows, sum(packets) AS packets, sum(bytes) AS bytes",
                &["src IS NOT NULL"],
                "GROUP BY src ORDER BY bytes DESC, src",
            ),
            Question::Rejected(filter) => filter.ask(
                "dport, protocol, rule, count(*) AS flows, sum(packets) AS packets, min(start) AS first, max(start) AS last",
                &["action = 'reject'"],
                "GROUP BY dport, protocol, rule ORDER BY flows DESC, dport, protocol, rule",
            ),
            Question::Destinations(filter) => filter.ask(
                "src, count(DISTINCT dst) AS destinations",
                &["src IS NOT NULL"],
                "GROUP BY src ORDER BY destinations DESC, src",
            ),
            Question::FanOut(filter) => filter.ask(
                "src, date_trunc('minute', start) AS minute, count(DISTINCT dst) AS destinations",
                &["src IS NOT NULL"],
                "GROUP BY src, date_trunc('minute', start) ORDER BY destinations DESC, src, minute",
            ),
            Question::Pairs(filter) => filter.ask(
                "src, dst, dport, protocol, count(*) AS flows, sum(packets) AS packets, sum(bytes) AS bytes, \
                 min(start) AS first, max(\"end\") AS last",
                &["src IS NOT NULL"],
                "GROUP BY src, dst, dport, protocol ORDER BY bytes DESC, src, dst, dport, protocol",
            ),
            Question::NewPairs { filter, since_ms } => filter.ask(
                "src, dst, min(start) AS first, count(*) AS flows, sum(bytes) AS bytes",
                &["src IS NOT NULL"],
                &format!("GROUP BY src, dst HAVING min(start) >= {} ORDER BY first, src, dst", since(*since_ms)),
            ),
            Question::Series { filter, step_seconds } => filter.ask(
                &format!(
                    "date_bin(INTERVAL '{step_seconds} seconds', start) AS time, action, count(*) AS flows, \
                     sum(packets) AS packets, sum(bytes) AS bytes"
                ),
                &[],
                "GROUP BY time, action ORDER BY time, action",
            ),
        }
    }

    /// Refuses a condition that is more than a condition.
    pub fn check(&self) -> Result<(), LakeError> {
        let filter = match self {
            Question::Sql(_) => return Ok(()),
            Question::TopTalkers(filter)
            | Question::Rejected(filter)
            | Question::Destinations(filter)
            | Question::FanOut(filter)
            | Question::Pairs(filter)
            | Question::NewPairs { filter, .. }
            | Question::Series { filter, .. } => filter,
        };
        let Some(condition) = &filter.condition else { return Ok(()) };
        let dialect = datafusion::sql::sqlparser::dialect::GenericDialect {};
        let refused = |why: String| LakeError::Refused(format!("{condition}: {why}"));
        let mut parser = datafusion::sql::sqlparser::parser::Parser::new(&dialect)
            .try_with_sql(condition)
            .map_err(|error| refused(error.to_string()))?;
        parser.parse_expr().map_err(|error| refused(error.to_string()))?;
        match parser.peek_token().token {
            datafusion::sql::sqlparser::tokenizer::Token::EOF => Ok(()),
            other => Err(refused(format!("`{other}` stands behind the condition"))),
        }
    }
}

fn since(since_ms: Option<i64>) -> String {
    since_ms.map_or_else(|| "(SELECT date_trunc('day', max(start)) FROM flows)".to_owned(), moment)
}

fn moment(time_ms: i64) -> String {
    format!("to_timestamp_millis({time_ms})")
}

impl Filter {
    fn ask(&self, columns: &str, conditions: &[&str], rest: &str) -> String {
        let mut all: Vec<String> = conditions.iter().map(|condition| (*condition).to_owned()).collect();
        all.extend(self.from_ms.map(|time| format!("start >= {}", moment(time))));
        all.extend(self.to_ms.map(|time| format!("start < {}", moment(time))));
        all.extend(self.condition.iter().map(|condition| format!("({condition})")));
        let condition = if all.is_empty() { String::new() } else { format!("WHERE {} ", all.join(" AND ")) };
        format!("SELECT {columns} FROM flows {condition}{rest} LIMIT {}", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_question_and_a_condition_is_no_more_than_one() {
        for name in NAMES {
            let question = Question::named(name, Filter::default()).unwrap();
            assert!(question.sql().contains("FROM flows"), "{name}");
            assert!(question.check().is_ok());
        }
        let asked = |condition: &str| {
            let filter = Filter { condition: Some(condition.to_owned()), ..Filter::default() };
            Question::TopTalkers(filter).check()
        };
        assert!(asked("dport = 22 AND in_subnet(src, '10.0.0.0/8')").is_ok());
        assert!(asked("true) UNION SELECT (1").is_err());
        assert!(asked("true; DROP TABLE flows").is_err());
    }
}
