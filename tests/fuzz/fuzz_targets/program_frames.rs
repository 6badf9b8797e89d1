//! Any bytes as the stream of a program, in any pieces, are refused, or read as sound records.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sage_batch::Batch;
use sage_batch::fields::{DataType, Element, FieldType, Schema};
use sage_batch::frames::{Frame, Frames, HELLO};

fuzz_target!(|input: (bool, u8, Vec<u8>)| {
    let (by_field, piece, bytes) = input;
    let schema = by_field.then(schema);
    let stream = [&HELLO[..], &bytes].concat();
    let (mut frames, mut batch) = (Frames::default(), Batch::new());
    let mut seen = Vec::new();
    for part in stream.chunks(usize::from(piece).max(1)) {
        frames.buffer().extend_from_slice(part);
        loop {
            match frames.next(schema.as_ref(), &mut batch) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    if frame == Frame::Records {
                        assert!(batch.keys().is_none_or(|keys| keys.len() == batch.len()));
                        assert!(batch.timestamps().is_none_or(|times| times.len() == batch.len()));
                        assert_eq!(batch.table().map(|table| table.len()), by_field.then_some(batch.len()));
                    }
                    seen.push(frame);
                }
                Err(_) => {
                    same_in_one_piece(&stream, schema.as_ref(), &seen);
                    return;
                }
            }
        }
    }
    same_in_one_piece(&stream, schema.as_ref(), &seen);
});

/// Asserts that the stream has the same frames if all of it comes at once.
fn same_in_one_piece(stream: &[u8], schema: Option<&Arc<Schema>>, seen: &[Frame]) {
    let (mut frames, mut batch) = (Frames::default(), Batch::new());
    frames.buffer().extend_from_slice(stream);
    let mut whole = Vec::new();
    while let Ok(Some(frame)) = frames.next(schema, &mut batch) {
        whole.push(frame);
    }
    assert_eq!(whole, seen);
}

fn schema() -> Arc<Schema> {
    let field = |(at, data_type): (usize, DataType)| FieldType {
        name: at.to_string(),
        data_type,
        nullable: at % 2 == 1,
        docs: String::new(),
    };
    let list = Element::new(DataType::String, true).expect("a scalar").into();
    let types = [DataType::S64, DataType::String, DataType::Bool, DataType::F32, list];
    Arc::new(Schema::new(types.into_iter().enumerate().map(field).collect()).expect("names that differ"))
}
