use crate::{Column, Field, Table, Values, entries};

/// The words of a table whose first field is texts.
pub fn words_of(table: &Table) -> &Column {
    match &table.fields[0].values {
        Values::Strings(words) => words,
        _ => panic!("the first field is a text"),
    }
}

/// The command in a table: the first word that begins with `!`, without it.
pub fn told(table: &Table) -> Option<String> {
    told_by(words_of(table))
}

/// The command among these words.
pub fn told_by(words: &Column) -> Option<String> {
    let told = entries(words).find_map(|word| word.strip_prefix(b"!"));
    told.map(|command| String::from_utf8_lossy(command).into_owned())
}

impl From<Values> for Field {
    fn from(values: Values) -> Self {
        Self { values, validity: None }
    }
}
