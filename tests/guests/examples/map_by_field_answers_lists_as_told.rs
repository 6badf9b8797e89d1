//! Gives the letters of each word, its number of bytes and half of that in a struct, and a list as it came. A word
//! `!command` breaks the rule that it names, in the whole answer. Each table has at least one row then.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 421] = *br#"{"version":1,"reads":[{"name":"word","type":"string","nullable":false},{"name":"more","type":"list<s64>","nullable":true}],
"gives":[{"name":"letters","type":"list<string>","nullable":false},{"name":"size","type":"struct","nullable":false,"fields":
[{"name":"bytes","type":"u32","nullable":false},{"name":"half","type":"decimal(3, 1)","nullable":true}]},
{"name":"more","type":"list<s64>","nullable":true}],"rest":"drop"}"#;

struct Guest;

impl FieldsMapper for Guest {
    fn map(table: Table) {
        let words = words_of(&table);
        let lengths: Vec<u32> = entries(words).map(|word| word.len() as u32).collect();
        let (n, rows) = (lengths.len(), table.rows);
        let ends = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        let offsets: Vec<u32> = [0].into_iter().chain(ends).collect();
        let elements = words.bytes.len();
        let letters = column(words.bytes.iter().map(|byte| [*byte]));
        let halves: Vec<u64> = lengths.iter().flat_map(|&length| [u64::from(length) * 5, 0]).collect();
        let mut fields: Vec<Field> = vec![
            Values::Lists((offsets.clone(), 1)).into(),
            Values::Structs(vec![0, 2]).into(),
            Values::Same(1).into(),
        ];
        let mut children: Vec<Field> =
            vec![Values::Uint32s(lengths).into(), Values::Strings(letters).into(), Values::Decimals(halves).into()];
        let list = |offsets: Vec<u32>| Field::from(Values::Lists((offsets, 1)));
        match told(&table).as_deref() {
            None => {}
            Some("list too few") => fields[0] = list(offsets[..n].to_vec()),
            Some("list too many") => fields[0] = list([offsets, vec![elements as u32]].concat()),
            Some("no offsets") => fields[0] = list(Vec::new()),
            Some("offsets start late") => fields[0] = list([vec![1], offsets[1..].to_vec()].concat()),
            Some("offsets fall") => fields[0] = list([vec![0, 2, 1], vec![elements as u32; n - 1]].concat()),
            Some("offsets beyond") => fields[0] = list([offsets[..n].to_vec(), vec![elements as u32 + 1]].concat()),
            Some("offsets end early") => fields[0] = list([offsets[..n].to_vec(), vec![elements as u32 - 1]].concat()),
            Some("offsets without end") => fields[0] = list([offsets[..n].to_vec(), vec![u32::MAX]].concat()),
            Some("child out of range") => fields[0] = Values::Lists((offsets, 3)).into(),
            Some("child without end") => fields[0] = Values::Lists((offsets, u32::MAX)).into(),
            Some("child twice") => fields[1] = Values::Structs(vec![0, 1]).into(),
            Some("child unused") => children.push(Values::Bools(Vec::new()).into()),
            Some("child of another type") => children[1] = Values::Uint64s(vec![0; elements]).into(),
            Some("child is a list") => children[1] = Values::Lists((vec![0; elements + 1], 1)).into(),
            Some("child is a struct") => children[1] = Values::Structs(vec![1]).into(),
            Some("child is the same") => children[1] = Values::Same(1).into(),
            Some("child with validity") => children[1].validity = Some(vec![0xff; elements.div_ceil(8)]),
            Some("element no utf-8") => children[1] = Values::Strings(column(vec![b"\xff"; elements])).into(),
            Some("member too few") => {
                fields[1] = Values::Structs(vec![0]).into();
                children.pop();
            }
            Some("member too many") => {
                fields[1] = Values::Structs(vec![0, 2, 3]).into();
                children.push(Values::Bools(vec![0; n.div_ceil(8)]).into());
            }
            Some("member out of range") => fields[1] = Values::Structs(vec![0, 9]).into(),
            Some("members exchanged") => fields[1] = Values::Structs(vec![2, 0]).into(),
            Some("member of another length") => children[0] = Values::Uint32s(vec![0; n + 1]).into(),
            Some("member with validity") => children[0].validity = Some(vec![0; n.div_ceil(8)]),
            Some("validity of a member past the end") => children[2].validity = Some(vec![0xff; n.div_ceil(8)]),
            Some("decimal of a member too large") => children[2] = Values::Decimals([1000, 0].repeat(n)).into(),
            Some("struct with validity") => fields[1].validity = Some(vec![0; n.div_ceil(8)]),
            Some("no struct") => fields[1] = Values::Uint32s(vec![0; n]).into(),
            Some("same of another list") => {
                fields[0] = Values::Same(1).into();
                fields[1] = Values::Structs(vec![0, 1]).into();
                children.remove(1);
            }
            Some("a long element") => {
                let texts = [vec![vec![b'x'; 100_000]], vec![Vec::new(); elements - 1]].concat();
                children[1] = Values::Strings(column(texts)).into();
            }
            Some("a lot of elements") => {
                fields[0] = list([offsets[..n].to_vec(), vec![1 << 20]].concat());
                children[1] = Values::Strings(Column { offsets: vec![0; (1 << 20) + 1], bytes: Vec::new() }).into();
            }
            Some(other) => panic!("{other:?} is no command"),
        }
        fields_output::columns(&Table { rows, fields, children });
    }
}

export!(fields_map, Guest);
