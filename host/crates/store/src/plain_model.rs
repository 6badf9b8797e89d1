//! A store beside a plain list of what it must hold.

use std::convert::Infallible;

use crate::disk::Disk;
use crate::error::StoreError;
use crate::frame::{Frame, FrameKind};
use crate::lying_disk::LyingDisk;
use crate::store::{OnDamage, Settings, Store};

pub(crate) const SMALL: Settings = Settings { segment: 6000, few_changes: 2000, most_epochs: 6, buffer: 700 };

/// A step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// An epoch with frames of so many bytes. It is one of whole states if it must be, or if this says so.
    Epoch {
        is_base: bool,
        bytes: usize,
    },
    /// The same, dropped before it is whole.
    Dropped {
        is_base: bool,
        bytes: usize,
    },
    Keep(usize),
    /// Goes on from the restorable epoch so many before the last; from none if there are not so many.
    GoOnFrom(usize),
    /// Closes the store and opens it again.
    Reopen,
}

/// An epoch as it must be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainEpoch {
    pub(crate) number: u64,
    state: Vec<String>,
    others: Vec<String>,
    ended: bool,
    manifest: Vec<u8>,
}

/// The epochs that the store must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plain {
    /// Whole epochs that were not dropped, restorable or not.
    pub(crate) whole: Vec<PlainEpoch>,
    /// The first epoch that must be restorable.
    pub(crate) oldest: u64,
    keep: usize,
    /// The highest number that a whole epoch ever had.
    highest: u64,
    /// Makes every frame a different one.
    counter: u64,
}

impl Plain {
    /// The epochs that must be restorable.
    fn kept(&self) -> impl Iterator<Item = &PlainEpoch> {
        self.whole.iter().filter(|epoch| epoch.number >= self.oldest)
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.whole.last().map(|epoch| epoch.number)
    }

    fn forget_old(&mut self) {
        let kept = self.kept().count();
        let oldest = self.kept().nth(kept.saturating_sub(self.keep)).map(|epoch| epoch.number);
        self.oldest = oldest.unwrap_or(self.oldest);
    }

    /// The outcome of an action, if it succeeds.
    pub(crate) fn after(&self, action: Action, number: u64) -> Self {
        let mut plain = self.clone();
        plain.counter += 1;
        match action {
            Action::Epoch { is_base, bytes } => {
                let is_base = is_base || self.whole.is_empty();
                let frames = frames(plain.counter, is_base, bytes);
                let mut state = if is_base { Vec::new() } else { self.whole.last().unwrap().state.clone() };
                let (own, others): (Vec<_>, Vec<_>) = frames.iter().partition(|(kind, _)| kind.is_state());
                state.extend(own.into_iter().map(shown));
                let others = others.into_iter().map(shown).collect();
                let (ended, manifest) = ending(plain.counter);
                plain.whole.push(PlainEpoch { number, state, others, ended, manifest });
                plain.highest = plain.highest.max(number);
                plain.forget_old();
            }
            Action::Dropped { .. } => {}
            Action::Keep(count) => {
                plain.keep = count.max(1);
                plain.forget_old();
            }
            Action::GoOnFrom(back) => {
                let target = self.target(back);
                plain.whole.retain(|epoch| target.is_some_and(|target| epoch.number <= target));
            }
            Action::Reopen => plain.keep = 3,
        }
        plain
    }

    /// The epoch that [`Action::GoOnFrom`] means.
    pub(crate) fn target(&self, back: usize) -> Option<u64> {
        let kept: Vec<_> = self.kept().collect();
        kept.iter().rev().nth(back).map(|epoch| epoch.number)
    }

    /// Checks that a store holds what it must: the last whole epoch, those that are kept, and no epoch that differs.
    pub(crate) fn check(&self, store: &Store) {
        let found = contents(store);
        assert_eq!(found.last().map(|epoch| epoch.number), self.last(), "the last whole epoch");
        for epoch in &found {
            let expected = self.whole.iter().find(|expected| expected.number == epoch.number);
            assert_eq!(Some(epoch), expected, "epoch {}", epoch.number);
        }
        for epoch in self.kept() {
            assert!(found.iter().any(|found| found.number == epoch.number), "epoch {} is kept", epoch.number);
        }
        assert!(found.is_sorted_by(|a, b| a.number < b.number));
    }
}

/// Everything that can be restored.
pub(crate) fn contents(store: &Store) -> Vec<PlainEpoch> {
    let restored = store.epochs().iter().map(|info| {
        let (mut state, mut others) = (Vec::new(), Vec::new());
        let taken = store.restore::<Infallible>(info.number, |frame, body| {
            let to = if frame.kind.is_state() { &mut state } else { &mut others };
            assert_eq!((frame.stage, frame.instance), ("stage", 7));
            to.push(shown(&(frame.kind, body.to_vec())));
            Ok(())
        });
        taken.unwrap();
        PlainEpoch { number: info.number, state, others, ended: info.ended, manifest: info.manifest.clone() }
    });
    restored.collect()
}

fn shown((kind, body): &(FrameKind, Vec<u8>)) -> String {
    format!("{} {}", kind.name(), String::from_utf8_lossy(body))
}

fn frames(counter: u64, is_base: bool, bytes: usize) -> Vec<(FrameKind, Vec<u8>)> {
    let kind = if is_base { FrameKind::Base } else { FrameKind::Changes };
    let body = |name: &str, bytes: usize| format!("{name} {counter} {}", "x".repeat(bytes)).into_bytes();
    vec![(kind, body("a", bytes)), (FrameKind::Position, body("b", 1)), (kind, body("c", bytes / 3))]
}

fn ending(counter: u64) -> (bool, Vec<u8>) {
    (counter.is_multiple_of(5), format!("{{\"counter\":{counter}}}").into_bytes())
}

/// A store on a lying disk, and what it must hold.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) disk: LyingDisk,
    pub(crate) store: Option<Store>,
    pub(crate) plain: Plain,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self { disk: LyingDisk::default(), store: None, plain: Plain { keep: 3, ..Plain::default() } }
    }

    pub(crate) fn open(&mut self) -> Result<(), StoreError> {
        self.store = None;
        self.store = Some(open(&self.disk)?);
        Ok(())
    }

    /// Does an action, and notes its outcome if it succeeds. Otherwise returns the error and what would have been.
    pub(crate) fn act(&mut self, action: Action) -> Result<(), (StoreError, Plain)> {
        let number = self.store.as_ref().map_or(0, |store| store.next);
        assert!(number == 0 || number > self.plain.highest, "a number is used twice");
        let after = self.plain.after(action, number);
        match self.try_to(action, after.counter) {
            Ok(()) => {
                self.plain = after;
                Ok(())
            }
            Err(error) => Err((error, after)),
        }
    }

    fn try_to(&mut self, action: Action, counter: u64) -> Result<(), StoreError> {
        if self.store.is_none() || action == Action::Reopen {
            self.open()?;
        }
        let target = if let Action::GoOnFrom(back) = action { self.plain.target(back) } else { None };
        let store = self.store.as_mut().unwrap();
        match action {
            Action::Epoch { is_base, bytes } | Action::Dropped { is_base, bytes } => {
                let is_base = is_base || self.plain.whole.is_empty();
                let mut epoch = store.begin(is_base)?;
                for (kind, body) in frames(counter, is_base, bytes) {
                    epoch.put(Frame { kind, stage: "stage", instance: 7, lane: 0 }, &body)?;
                }
                if matches!(action, Action::Epoch { .. }) {
                    let (ended, manifest) = ending(counter);
                    epoch.whole(&manifest, ended)?;
                }
                Ok(())
            }
            Action::Keep(count) => store.keep(count),
            Action::GoOnFrom(_) => store.go_on_from(target),
            Action::Reopen => Ok(()),
        }
    }

    /// Takes a disk after a crash, and expects one of two outcomes.
    pub(crate) fn recover(&mut self, disk: LyingDisk, before: &Plain, after: &Plain) {
        self.disk = disk;
        self.open().unwrap();
        let store = self.store.as_ref().unwrap();
        let last = store.epochs().last().map(|epoch| epoch.number);
        let is_after = last == after.last() && last != before.last();
        let mut plain = if is_after { after.clone() } else { before.clone() };
        // What one of the two outcomes forgets need not be there.
        plain.oldest = before.oldest.max(after.oldest);
        plain.counter = after.counter;
        plain.check(store);
        plain.keep = 3;
        plain.highest = last.unwrap_or(0).max(before.highest);
        self.plain = plain;
    }
}

pub(crate) fn open(disk: &LyingDisk) -> Result<Store, StoreError> {
    Store::open_disk(Box::new(disk.clone()) as Box<dyn Disk>, SMALL, OnDamage::Refuse)
}
