//! Several columns of one row packed into one number that sorts, compares and hashes at once.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, TimeUnit, TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type,
};
use datafusion::common::{Result, exec_err};
use std::sync::Arc;

/// Milliseconds are kept in so many bits, 0 being null: a hundred million years around 1970.
const TIME_BITS: u32 = 62;
const TIME_ZERO: i64 = 1 << (TIME_BITS - 1);

/// How many bits a value of a type takes, with one code for null.
pub fn bits(data_type: &DataType) -> Option<u32> {
    match data_type {
        DataType::UInt8 => Some(9),
        DataType::UInt16 => Some(17),
        DataType::UInt32 => Some(33),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Some(TIME_BITS),
        _ => None,
    }
}

/// Adds the codes of one column to the keys, at `shift`.
pub fn add(column: &ArrayRef, shift: u32, keys: &mut [u128]) -> Result<()> {
    match column.data_type() {
        DataType::UInt8 => put(column.as_primitive::<UInt8Type>(), shift, keys, |value| value as u128 + 1),
        DataType::UInt16 => put(column.as_primitive::<UInt16Type>(), shift, keys, |value| value as u128 + 1),
        DataType::UInt32 => put(column.as_primitive::<UInt32Type>(), shift, keys, |value| value as u128 + 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let times = column.as_primitive::<TimestampMillisecondType>();
            // What lies outside is not a time of any record; it is kept apart from null at the bounds.
            let code = |time: i64| (time.clamp(1 - TIME_ZERO, TIME_ZERO - 1) + TIME_ZERO) as u128;
            put(times, shift, keys, code);
        }
        other => return exec_err!("{other} is packed into no key"),
    }
    Ok(())
}

fn put<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    shift: u32,
    keys: &mut [u128],
    code: impl Fn(T::Native) -> u128,
) {
    match column.nulls() {
        None => keys.iter_mut().zip(column.values()).for_each(|(key, value)| *key |= code(*value) << shift),
        Some(nulls) => {
            for ((key, value), valid) in keys.iter_mut().zip(column.values()).zip(nulls) {
                *key |= if valid { code(*value) << shift } else { 0 };
            }
        }
    }
}

/// The column of the codes at `shift`.
pub fn take(data_type: &DataType, shift: u32, keys: &[u128]) -> Result<ArrayRef> {
    let Some(bits) = bits(data_type) else { return exec_err!("{data_type} is packed into no key") };
    let mask = (1u128 << bits) - 1;
    let codes = keys.iter().map(|key| (key >> shift) & mask);
    let told = codes.map(|code| code.checked_sub(1));
    Ok(match data_type {
        DataType::UInt8 => {
            Arc::new(PrimitiveArray::<UInt8Type>::from_iter(told.map(|code| code.map(|code| code as u8))))
        }
        DataType::UInt16 => {
            Arc::new(PrimitiveArray::<UInt16Type>::from_iter(told.map(|code| code.map(|code| code as u16))))
        }
        DataType::UInt32 => {
            Arc::new(PrimitiveArray::<UInt32Type>::from_iter(told.map(|code| code.map(|code| code as u32))))
        }
        _ => {
            let times = told.map(|code| code.map(|code| code as i64 + 1 - TIME_ZERO));
            let times = PrimitiveArray::<TimestampMillisecondType>::from_iter(times);
            Arc::new(times.with_data_type(data_type.clone()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array};

    #[test]
    fn a_key_gives_its_columns_again() {
        let columns: [ArrayRef; 4] = [
            Arc::new(UInt32Array::from(vec![Some(0), None, Some(u32::MAX)])),
            Arc::new(UInt16Array::from(vec![Some(u16::MAX), Some(0), None])),
            Arc::new(UInt8Array::from(vec![None, Some(255), Some(0)])),
            Arc::new(TimestampMillisecondArray::from(vec![Some(-5), Some(1_767_225_600_000), None])),
        ];
        let mut keys = vec![0; 3];
        let mut shift = 0;
        for column in &columns {
            add(column, shift, &mut keys).unwrap();
            shift += bits(column.data_type()).unwrap();
        }
        let mut shift = 0;
        for column in &columns {
            assert_eq!(&take(column.data_type(), shift, &keys).unwrap(), column);
            shift += bits(column.data_type()).unwrap();
        }
    }
}
