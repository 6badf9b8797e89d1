//! Values from the text of a cell or of a JSON token into a column.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sage_batch::fields::{DataType, FieldColumn};

use crate::error::Bad;
use crate::{number, time};

/// Adds the number in `text`, which has passed JSON's grammar.
#[inline(always)]
pub(crate) fn put_number(column: &mut FieldColumn, data_type: &DataType, text: &[u8]) -> Result<(), Bad> {
    match data_type {
        DataType::F64 => column.push_f64(number::float(text)?),
        DataType::S64 => column.push_s64(number::signed(text)?),
        DataType::U64 => column.push_u64(number::unsigned(text)?),
        _ => put_rare_number(column, data_type, text)?,
    }
    Ok(())
}

#[inline(never)]
fn put_rare_number(column: &mut FieldColumn, data_type: &DataType, text: &[u8]) -> Result<(), Bad> {
    fn signed<T: TryFrom<i64>>(text: &[u8]) -> Result<T, Bad> {
        T::try_from(number::signed(text)?).map_err(|_| Bad::Range)
    }
    fn unsigned<T: TryFrom<u64>>(text: &[u8]) -> Result<T, Bad> {
        T::try_from(number::unsigned(text)?).map_err(|_| Bad::Range)
    }
    match data_type {
        DataType::S8 => column.push_s8(signed(text)?),
        DataType::S16 => column.push_s16(signed(text)?),
        DataType::S32 => column.push_s32(signed(text)?),
        DataType::U8 => column.push_u8(unsigned(text)?),
        DataType::U16 => column.push_u16(unsigned(text)?),
        DataType::U32 => column.push_u32(unsigned(text)?),
        DataType::F32 => column.push_f32(number::float32(text)?),
        DataType::Decimal { precision, scale } => column.push_decimal(number::decimal(text, *precision, *scale)?),
        _ => return Err(Bad::Form),
    }
    Ok(())
}

/// Adds the value in `text`, which is UTF-8: the text itself, a time, or bytes in base64.
#[inline(always)]
pub(crate) fn put_text(column: &mut FieldColumn, data_type: &DataType, text: &[u8]) -> Result<(), Bad> {
    match data_type {
        DataType::String => column.push_bytes(text),
        DataType::Timestamp => column.push_s64(time::timestamp(text).ok_or(Bad::Form)?),
        DataType::Date => column.push_s32(time::date(text).ok_or(Bad::Form)?),
        _ => column.push_bytes(&STANDARD.decode(text).map_err(|_| Bad::Form)?),
    }
    Ok(())
}

/// Appends bytes as base64.
pub(crate) fn print_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
}
