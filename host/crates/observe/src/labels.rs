/// Names and values of the labels of a sample.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// These labels and one more.
pub(super) fn with<'a>(labels: &Labels<'a>, name: &'static str, value: &'a str) -> Labels<'a> {
    let mut labels = labels.clone();
    labels.push((name, value));
    labels
}
