use std::collections::HashMap;

use super::draft::Draft;
use super::role::Role;
use super::{Kind, Port, inputs};
use crate::config::{Diagnostic, Diagnostics, Input, Spanned, closest};

/// A connection from an output of one draft to an input of another.
#[derive(Debug)]
pub(super) struct Wire {
    /// Index of the sender.
    pub(super) from: usize,
    pub(super) port: Port,
    /// Index of the receiver.
    pub(super) to: usize,
    /// Position in the receiver's list of inputs.
    pub(super) input: usize,
    /// Whether the input's fields and key have no error by themselves.
    pub(super) is_sound: bool,
}

/// Connects stages to their inputs; the wires are in the order of the receivers. With `torn`, stages may be
/// missing, so an unknown name is not reported.
pub(super) fn connect(drafts: &[Draft<'_>], torn: bool, errors: &mut Diagnostics) -> Vec<Wire> {
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for (i, draft) in drafts.iter().enumerate() {
        if let Some(name) = draft.name {
            by_name.entry(&name.value).or_insert(i);
        }
    }
    let mut wires: Vec<Wire> = Vec::new();
    // Whether each stage is read by another stage, or is the likely meaning of an unknown name.
    let mut read = vec![false; drafts.len()];
    let mut blind = torn || !drafts.iter().any(|draft| draft.role == Role::Sink);
    for (i, draft) in drafts.iter().enumerate() {
        // The second of two stages with one name cannot be read. The shared name is the error, not the missing
        // reader.
        if draft.name.is_some_and(|name| by_name.get(name.value.as_str()) != Some(&i)) {
            mark(&mut read, i);
        }
    }
    for (to, draft) in drafts.iter().enumerate() {
        blind |= draft.inputs.is_none();
        let sound = inputs::check(draft, errors);
        for (input, edge) in draft.inputs.unwrap_or_default().iter().enumerate() {
            let written = &edge.from;
            let (stage, port) = match written.value.split_once('.') {
                Some((stage, port)) => (stage, Some(port)),
                None => (written.value.as_str(), None),
            };
            let Some(&from) = by_name.get(stage) else {
                // The whole text may be a name that no stage should have, which has been reported.
                if let Some(&from) = by_name.get(written.value.as_str()) {
                    mark(&mut read, from);
                    continue;
                }
                // A search for similar names for each error would take minutes in a file with thousands of
                // stages.
                let candidates = feeders(drafts).filter(|name| by_name.get(name) != Some(&to));
                let meant = if errors.is_full() { None } else { closest(stage, candidates) };
                if let Some(&meant) = meant.and_then(|name| by_name.get(name)) {
                    mark(&mut read, meant);
                } else {
                    blind = true;
                }
                if !torn || meant.is_some() {
                    errors.push(unknown_input(draft, written, stage, meant, drafts));
                }
                continue;
            };
            let Some(sender) = drafts.get(from) else { continue };
            if port.is_none() {
                mark(&mut read, from);
            }
            if wires.iter().any(|wire| wire.to == to && earlier(drafts, wire, edge)) {
                let message = format!("{} reads \"{}\" twice", draft.place(), written.value);
                errors.push(
                    Diagnostic::new(message)
                        .on(written)
                        .hint("each record would arrive twice: name it once, or give both edges names in inputs"),
                );
                continue;
            }
            if let Some(port) = find_port(draft, sender, written, port, errors) {
                let is_sound = sound.get(input).copied().unwrap_or_default();
                wires.push(Wire { from, port, to, input, is_sound });
            }
        }
    }
    if !blind {
        unread(drafts, &read, errors);
    }
    wires
}

fn mark(read: &mut [bool], at: usize) {
    if let Some(read) = read.get_mut(at) {
        *read = true;
    }
}

/// The names of stages that send records, in the order of the file.
fn feeders<'a>(drafts: &'a [Draft<'_>]) -> impl Iterator<Item = &'a str> {
    let senders = drafts.iter().filter(|draft| draft.role != Role::Sink);
    senders.filter_map(|draft| draft.name.map(|name| name.value.as_str())).filter(|name| !name.is_empty())
}

/// Whether `wire` belongs to an input of the same receiver that reads the same output, and neither has a name.
fn earlier(drafts: &[Draft<'_>], wire: &Wire, edge: &Input) -> bool {
    let inputs = drafts.get(wire.to).and_then(|draft| draft.inputs);
    let same = |other: &Input| other.from.value == edge.from.value && other.name.is_none() && edge.name.is_none();
    inputs.and_then(|inputs| inputs.get(wire.input)).is_some_and(same)
}

fn unknown_input(
    draft: &Draft<'_>,
    written: &Spanned<String>,
    stage: &str,
    meant: Option<&str>,
    drafts: &[Draft<'_>],
) -> Diagnostic {
    let error = Diagnostic::new(format!("{} reads \"{stage}\", which is not there", draft.place())).on(written);
    match meant {
        Some(name) => error.hint(format!("did you mean \"{name}\"?")),
        None => {
            let names: Vec<&str> = feeders(drafts).take(16).collect();
            error.hint(format!("stages that send records: {}", names.join(", ")))
        }
    }
}

/// The sender's output that `written` names.
fn find_port(
    draft: &Draft<'_>,
    sender: &Draft<'_>,
    written: &Spanned<String>,
    port: Option<&str>,
    errors: &mut Diagnostics,
) -> Option<Port> {
    let place = draft.place();
    if sender.role == Role::Sink {
        let message = format!("{place} reads \"{}\", but a sink sends nothing", written.value);
        errors.push(Diagnostic::new(message).on(written).hint("read what feeds that sink"));
        return None;
    }
    let Some(port) = port else { return Some(Port::Main) };
    if port == "rejects" {
        if sender.role == Role::Source {
            let message = format!("{place} reads \"{}\", but a source rejects nothing", written.value);
            errors
                .push(Diagnostic::new(message).on(written).hint("only operators have rejects: they are sent records"));
            return None;
        }
        return Some(Port::Rejects);
    }
    // Without facts about the component its ports are unknown; that has been reported.
    let ports = sender.ports?;
    if let Some(at) = ports.iter().position(|name| name == port) {
        return Some(Port::Side(u32::try_from(at + 1).ok()?, port.to_owned()));
    }
    let mut known: Vec<&str> = ports.iter().map(String::as_str).collect();
    if sender.role == Role::Operator {
        known.push("rejects");
    }
    let sender_name = sender.place();
    let error =
        Diagnostic::new(format!("{place} reads port \"{port}\" of {sender_name}, which has no such port")).on(written);
    let hint = match (closest(port, known.iter().copied()), known.as_slice()) {
        (Some(name), _) => format!("did you mean \"{name}\"? its ports: {}", known.join(", ")),
        (None, []) => "it has no ports beside its main output".to_owned(),
        (None, _) => format!("its ports: {}", known.join(", ")),
    };
    errors.push(error.hint(hint));
    None
}

/// Reports stages whose records no stage reads. Such records would be lost.
fn unread(drafts: &[Draft<'_>], read: &[bool], errors: &mut Diagnostics) {
    for (draft, read) in drafts.iter().zip(read) {
        let sends = draft.role != Role::Sink && !matches!(draft.kind(), Some(Kind::Sink));
        if let Some(name) = draft.name
            && sends
            && !read
        {
            let message = format!("no stage reads the output of {}", draft.place());
            let hint = format!(
                "add [[sink]] with name = \"...\", input = \"{}\" and discard = {{}}, or read it elsewhere",
                name.value
            );
            errors.push(Diagnostic::new(message).on(name).hint(hint));
        }
    }
}
