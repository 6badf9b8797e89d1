use std::sync::Arc;

use super::{Cell, DataType, FieldColumn, FieldType, Schema, Storage, Table};

impl Table {
    /// Converts fields that `wanted` has in a wider type. `None` if a wanted field is missing, or has a type whose
    /// values are not all values of the wanted type.
    #[must_use]
    pub fn widened(&self, wanted: &Schema) -> Option<Self> {
        let mut fields: Vec<FieldType> = self.schema.fields().to_vec();
        for field in wanted.fields() {
            let own = fields.iter_mut().find(|own| own.name == field.name)?;
            if !own.data_type.widens_to(&field.data_type) {
                return None;
            }
            own.data_type = field.data_type.clone();
        }
        // The names are those of this table, in which no name occurs twice.
        let schema = Arc::new(Schema::new(fields).ok()?);
        let mut table = Self::new(Arc::clone(&schema));
        let types = self.schema.fields().iter().zip(schema.fields());
        for ((to, from), (own, wider)) in table.fields.iter_mut().zip(&self.fields).zip(types) {
            widen(from, &own.data_type, to, &wider.data_type);
        }
        table.rows = self.rows;
        Some(table)
    }
}

/// Adds the rows of a column of type `own` to an empty column of a type to which it widens.
fn widen(from: &FieldColumn, own: &DataType, to: &mut FieldColumn, wider: &DataType) {
    match (own, wider) {
        (own, wider) if own == wider => to.append_range(from, 0, from.len()),
        (DataType::List(own), DataType::List(wider)) => {
            to.append_rows(from);
            for (to, from) in to.inside.iter_mut().zip(&from.inside) {
                widen(from, own.data_type(), to, wider.data_type());
            }
        }
        (DataType::Struct(own), DataType::Struct(wider)) => {
            to.append_rows(from);
            for (to, member) in to.inside.iter_mut().zip(wider.fields()) {
                let at = own.position(&member.name);
                let pair = at.and_then(|at| Some((from.inside.get(at)?, own.fields().get(at)?)));
                if let Some((from, own)) = pair {
                    widen(from, &own.data_type, to, &member.data_type);
                }
            }
        }
        _ => (0..from.len()).for_each(|row| push_wider(to, from.cell(row).unwrap_or(Cell::Null))),
    }
}

/// Pushes a number to a column of a wider type of the same kind.
fn push_wider(to: &mut FieldColumn, cell: Cell<'_>) {
    match (cell, to.values().storage()) {
        (Cell::Signed(value), Storage::S16) => to.push_s16(i16::try_from(value).unwrap_or_default()),
        (Cell::Signed(value), Storage::S32) => to.push_s32(i32::try_from(value).unwrap_or_default()),
        (Cell::Signed(value), _) => to.push_s64(value),
        (Cell::Unsigned(value), Storage::U16) => to.push_u16(u16::try_from(value).unwrap_or_default()),
        (Cell::Unsigned(value), Storage::U32) => to.push_u32(u32::try_from(value).unwrap_or_default()),
        (Cell::Unsigned(value), _) => to.push_u64(value),
        (Cell::F32(value), _) => to.push_f64(value.into()),
        (_, _) => to.push_null(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Element, Members};
    use super::*;

    fn schema(types: &[DataType]) -> Schema {
        let field = |(at, data_type): (usize, &DataType)| FieldType {
            name: format!("f{at}"),
            data_type: data_type.clone(),
            nullable: true,
            docs: String::new(),
        };
        Schema::new(types.iter().enumerate().map(field).collect()).unwrap()
    }

    #[test]
    fn numbers_keep_their_value_in_a_wider_type() {
        let narrow = [DataType::S8, DataType::U8, DataType::F32, DataType::S16, DataType::String];
        let wide = [DataType::S64, DataType::U16, DataType::F64, DataType::S32, DataType::String];
        let mut table = Table::new(Arc::new(schema(&narrow)));
        table.field_mut(0).unwrap().push_s8(-128);
        table.field_mut(1).unwrap().push_u8(255);
        table.field_mut(2).unwrap().push_f32(0.1);
        table.field_mut(3).unwrap().push_s16(-7);
        table.field_mut(4).unwrap().push_str("x");
        assert!(table.finish_row());
        (0..5).for_each(|at| table.field_mut(at).unwrap().push_null());
        assert!(table.finish_row());
        let table = table.widened(&schema(&wide)).unwrap();
        let row = |row| (0..5).map(|field| table.cell(field, row).unwrap()).collect::<Vec<_>>();
        let widened = [
            Cell::Signed(-128),
            Cell::Unsigned(255),
            Cell::F64(f64::from(0.1f32)),
            Cell::Signed(-7),
            Cell::Bytes(b"x"),
        ];
        assert_eq!(row(0), widened);
        assert_eq!(row(1), [Cell::Null; 5]);
        assert_eq!(table.schema().fields()[0].data_type, DataType::S64);
    }

    #[test]
    fn elements_and_members_keep_their_value_in_a_wider_type() {
        let list = |element, nullable| DataType::from(Element::new(element, nullable).unwrap());
        let place = |members: &[(&str, DataType)]| {
            let member = |(name, data_type): &(&str, DataType)| FieldType {
                name: (*name).to_owned(),
                data_type: data_type.clone(),
                nullable: true,
                docs: String::new(),
            };
            DataType::from(Members::new(members.iter().map(member).collect()).unwrap())
        };
        let narrow =
            [list(DataType::S8, false), place(&[("a", DataType::U8), ("b", DataType::String), ("c", DataType::F32)])];
        let wide =
            [list(DataType::S64, true), place(&[("c", DataType::F64), ("b", DataType::String), ("a", DataType::U16)])];
        let mut table = Table::new(Arc::new(schema(&narrow)));
        let column = table.field_mut(0).unwrap();
        [-128, 7].into_iter().for_each(|value| column.elements_mut().unwrap().push_s8(value));
        column.end_list();
        let column = table.field_mut(1).unwrap();
        column.member_mut(0).unwrap().push_u8(1);
        column.member_mut(1).unwrap().push_str("x");
        column.member_mut(2).unwrap().push_f32(0.5);
        column.end_struct();
        assert!(table.finish_row());
        (0..2).for_each(|at| table.field_mut(at).unwrap().push_null());
        assert!(table.finish_row());
        let table = table.widened(&schema(&wide)).unwrap();
        assert_eq!(table.cell(0, 0), Some(Cell::List { start: 0, end: 2 }));
        let elements = &table.fields()[0].inside()[0];
        assert_eq!([elements.cell(0), elements.cell(1)], [Cell::Signed(-128), Cell::Signed(7)].map(Some));
        let members = table.fields()[1].inside();
        let cells: Vec<_> = members.iter().map(|member| member.cell(0).unwrap()).collect();
        assert_eq!(cells, [Cell::F64(0.5), Cell::Bytes(b"x"), Cell::Unsigned(1)]);
        assert_eq!((table.cell(0, 1), table.cell(1, 1)), (Some(Cell::Null), Some(Cell::Null)));
    }

    #[test]
    fn a_type_that_does_not_widen_or_a_field_that_is_missing_is_none() {
        let table = Table::new(Arc::new(schema(&[DataType::S64])));
        assert!(table.widened(&schema(&[DataType::S8])).is_none());
        assert!(table.widened(&schema(&[DataType::S64, DataType::S64])).is_none());
    }
}
