use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressFinish, ProgressStyle};

use super::{Screen, SourceReading};

/// A bar for each source with a known end, and a status line below.
#[derive(Debug)]
pub(super) struct ProgressBars {
    bars: MultiProgress,
    sources: BTreeMap<String, ProgressBar>,
    status: Option<ProgressBar>,
}

impl ProgressBars {
    pub(super) fn new(screen: &Screen) -> Self {
        Self { bars: screen.bars().clone(), sources: BTreeMap::new(), status: None }
    }

    /// Shows the current state.
    pub(super) fn draw(&mut self, readings: &[SourceReading], status: String) {
        for reading in readings {
            let Some(total) = reading.total else { continue };
            let bar = self.sources.entry(reading.name.clone()).or_insert_with(|| {
                let bar = self.bars.add(ProgressBar::new(total).with_finish(ProgressFinish::AndClear));
                bar.set_style(style(reading.bytes));
                bar.set_prefix(reading.name.clone());
                bar
            });
            bar.set_position(reading.done.min(total));
        }
        // The line is added after the first bars and is therefore below them.
        let line = self.status.get_or_insert_with(|| {
            let line = self.bars.add(ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear));
            line.set_style(template("{spinner} {wide_msg}"));
            line
        });
        line.set_message(status);
        line.tick();
    }

    /// Removes all bars.
    pub(super) fn clear(&mut self) {
        for bar in self.sources.values().chain(&self.status) {
            bar.finish_and_clear();
        }
        let _ = self.bars.clear();
    }
}

fn style(in_bytes: bool) -> ProgressStyle {
    let amount = if in_bytes { "{binary_bytes}/{binary_total_bytes}" } else { "{human_pos}/{human_len} records" };
    template(&format!("{{prefix}} {{bar:24}} {{percent:>3}} % {amount}, {{eta}} left"))
}

/// Parses one of the templates above. An invalid template falls back to the default bar.
fn template(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in
            ["{spinner} {wide_msg}", "{prefix} {bar:24} {percent:>3} % {binary_bytes}/{binary_total_bytes}, {eta} left"]
        {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
