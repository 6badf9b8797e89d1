use super::draft::Draft;
use super::wiring::Wire;
use super::{FileSourceSpec, Kind, Partition, Port, SourceSpec, Work};
use crate::config::{Diagnostic, Diagnostics, Input, Partitioning, Spanned, choose, closest};

/// The hint for records that need a key.
const WAYS_TO_A_KEY: &str = "put a key-by operator before it, or name the field at the input: key = \"sensor\"";

/// Whether records have keys, as far as the plan shows it without running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyed {
    Always,
    Never,
    Maybe,
}

/// The partitioning of each wire, in the order of the wires. Wrong partitioning is reported.
pub(super) fn assign(
    drafts: &[Draft<'_>],
    wires: &[Wire],
    sorted: &[usize],
    errors: &mut Diagnostics,
) -> Vec<Partition> {
    let keyed = keyed(drafts, wires, sorted);
    let written: Vec<Vec<Written<'_>>> = drafts.iter().map(|draft| read(draft, errors)).collect();
    let mut chosen = Vec::with_capacity(wires.len());
    for (wire, &keyed) in wires.iter().zip(&keyed) {
        let (Some(from), Some(to)) = (drafts.get(wire.from), drafts.get(wire.to)) else { continue };
        let written = written.get(wire.to).and_then(|each| each.get(wire.input)).copied().unwrap_or(Written::Nothing);
        let keeps_state = to.keeps_state();
        let partition = match written {
            Written::Choice(choice, _) => choice,
            _ if keeps_state && keyed == Keyed::Always => Partition::Key,
            _ => Partition::RoundRobin,
        };
        // A wrong word was reported before.
        if !matches!(written, Written::Unknown) {
            check(&Case { from, to, wire, partition, written, keyed, keeps_state }, errors);
        }
        chosen.push(partition);
    }
    chosen
}

/// The partitioning that the file sets for one input.
#[derive(Debug, Clone, Copy)]
enum Written<'a> {
    Nothing,
    Choice(Partition, &'a Spanned<String>),
    Unknown,
}

/// The partitioning that the file sets for each input of a stage.
fn read<'a>(draft: &Draft<'a>, errors: &mut Diagnostics) -> Vec<Written<'a>> {
    let inputs = draft.inputs.unwrap_or_default();
    let place = draft.place();
    let mut resolve = |word: &'a Spanned<String>| match choose("partition", &place, word, &Partition::NAMES, errors) {
        Some(choice) => Written::Choice(choice, word),
        None => Written::Unknown,
    };
    match draft.partition {
        Partitioning::Default => vec![Written::Nothing; inputs.len()],
        Partitioning::All(word) => vec![resolve(word); inputs.len()],
        Partitioning::Each(each) => {
            let mut written = vec![Written::Nothing; inputs.len()];
            for (input, word) in each {
                let choice = resolve(word);
                if let Some(at) = inputs.iter().position(|each| each.called().value == input.value)
                    && let Some(slot) = written.get_mut(at)
                {
                    *slot = choice;
                }
            }
            if draft.inputs.is_some() {
                for (input, _) in each {
                    if !inputs.iter().any(|each| each.called().value == input.value) {
                        errors.push(not_an_input(&place, input, inputs));
                    }
                }
            }
            written
        }
    }
}

fn not_an_input(place: &str, input: &Spanned<String>, inputs: &[Input]) -> Diagnostic {
    let names: Vec<&str> = inputs.iter().map(|each| each.called().value.as_str()).collect();
    let hint = match closest(&input.value, names.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("its inputs: {}", names.join(", ")),
    };
    Diagnostic::new(format!("partition of {place} names \"{}\", which it does not read", input.value))
        .on(input)
        .hint(hint)
}

/// A wire with everything that its partitioning depends on.
struct Case<'a> {
    from: &'a Draft<'a>,
    to: &'a Draft<'a>,
    wire: &'a Wire,
    partition: Partition,
    written: Written<'a>,
    keyed: Keyed,
    keeps_state: bool,
}

fn check(case: &Case<'_>, errors: &mut Diagnostics) {
    let place = case.to.place();
    let input = case.to.inputs.and_then(|inputs| inputs.get(case.wire.input));
    let input_name = input.map_or("", |input| input.called().value.as_str());
    let word_span = match case.written {
        Written::Choice(_, word) => word.span,
        _ => input.and_then(|input| input.from.span),
    };
    let (senders, receivers) = (case.from.parallelism, case.to.parallelism);
    let parallelism = |draft: &Draft<'_>| draft.component.and_then(|c| c.parallelism.as_ref()).and_then(|p| p.span);
    match case.partition {
        Partition::Forward if senders != receivers => {
            let message = format!(
                "{place} reads \"{input_name}\" forward, but has {receivers} {} for {senders} of {}",
                instances(receivers),
                case.from.place()
            );
            let hint = "forward needs as many on both sides: make them equal, or use \"round-robin\"";
            let error = Diagnostic::new(message).at(word_span);
            errors.push(error.at(parallelism(case.to)).at(parallelism(case.from)).hint(hint));
        }
        Partition::Key if case.keyed == Keyed::Never => {
            let message = format!("{place} reads \"{input_name}\" by key, but these records have no key");
            errors.push(Diagnostic::new(message).at(word_span).hint(WAYS_TO_A_KEY));
        }
        _ if case.keyed == Keyed::Never && case.to.kind() == Some(Kind::Window) => {
            let message = format!("{place} has windows of keys, but the records of \"{input_name}\" have no key");
            errors.push(Diagnostic::new(message).at(word_span).hint(WAYS_TO_A_KEY));
            return;
        }
        _ => {}
    }
    if case.keeps_state && receivers > 1 && case.partition != Partition::Key {
        let why = match (case.written, case.keyed) {
            (Written::Choice(_, word), _) => format!("reads \"{input_name}\" as {}", word.value),
            (_, Keyed::Never) => format!("the records of \"{input_name}\" have no key"),
            _ => format!("the records of \"{input_name}\" may have no key"),
        };
        let kind = case.to.kind().map_or("process", Kind::name);
        let message = format!("{place} is a {kind} with {receivers} instances, but {why}");
        let hint = match case.keyed {
            Keyed::Never => format!("equal keys must meet in one instance: {WAYS_TO_A_KEY}, or set parallelism = 1"),
            Keyed::Always | Keyed::Maybe => {
                "equal keys must meet in one instance: partition = \"key\", or set parallelism = 1".to_owned()
            }
        };
        errors.push(Diagnostic::new(message).at(word_span).at(parallelism(case.to)).hint(hint));
    }
}

fn instances(count: u32) -> &'static str {
    if count == 1 { "instance" } else { "instances" }
}

/// Whether the records on each wire have keys, in the order of the wires.
fn keyed(drafts: &[Draft<'_>], wires: &[Wire], sorted: &[usize]) -> Vec<Keyed> {
    let mut incoming: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    let mut outgoing = incoming.clone();
    for (i, wire) in wires.iter().enumerate() {
        if let Some(wires) = incoming.get_mut(wire.to) {
            wires.push(i);
        }
        if let Some(wires) = outgoing.get_mut(wire.from) {
            wires.push(i);
        }
    }
    let mut on_wire = vec![Keyed::Maybe; wires.len()];
    for &at in sorted {
        let Some(draft) = drafts.get(at) else { continue };
        let inputs = incoming.get(at).into_iter().flatten().filter_map(|&wire| on_wire.get(wire).copied());
        let arriving = meet(inputs);
        for &wire in outgoing.get(at).into_iter().flatten() {
            let unchanged = wires.get(wire).is_some_and(|wire| is_unchanged(draft, &wire.port));
            let keyed = wires.get(wire).is_some_and(|wire| has_key(drafts, wire));
            if let Some(slot) = on_wire.get_mut(wire) {
                *slot = if keyed {
                    Keyed::Always
                } else if unchanged {
                    arriving
                } else {
                    leaving(draft, arriving)
                };
            }
        }
    }
    on_wire
}

/// Whether the records of this port are records of the input, unchanged.
fn is_unchanged(draft: &Draft<'_>, port: &Port) -> bool {
    match port {
        Port::Rejects => true,
        Port::Side(..) => draft.kind() == Some(Kind::Window),
        Port::Main => false,
    }
}

/// Whether the host gives the records of this wire a key.
fn has_key(drafts: &[Draft<'_>], wire: &Wire) -> bool {
    let inputs = drafts.get(wire.to).and_then(|draft| draft.inputs);
    inputs.and_then(|inputs| inputs.get(wire.input)).is_some_and(|input| input.key.is_some())
}

/// The common knowledge about records from several inputs.
fn meet(mut sides: impl Iterator<Item = Keyed>) -> Keyed {
    let Some(first) = sides.next() else { return Keyed::Maybe };
    if sides.all(|other| other == first) { first } else { Keyed::Maybe }
}

fn leaving(draft: &Draft<'_>, arriving: Keyed) -> Keyed {
    match &draft.work {
        Some(Work::Source(SourceSpec::Generate(spec))) if spec.keys.is_some() => Keyed::Always,
        Some(Work::Source(SourceSpec::WholeFiles(_))) => Keyed::Always,
        Some(Work::Source(SourceSpec::File(FileSourceSpec { text, .. }) | SourceSpec::Stdin(text)))
            if text.stamps.key.is_some() =>
        {
            Keyed::Always
        }
        Some(Work::Source(
            SourceSpec::Generate(_) | SourceSpec::File(_) | SourceSpec::Stdin(_) | SourceSpec::Socket(_),
        )) => Keyed::Never,
        Some(Work::Component(_, Kind::Map | Kind::Filter | Kind::FlatMap)) => arriving,
        Some(Work::Component(_, Kind::KeyBy | Kind::Window)) => Keyed::Always,
        Some(Work::Component(_, Kind::Process | Kind::Source | Kind::Sink) | Work::Source(_) | Work::Sink(_))
        | None => Keyed::Maybe,
    }
}
