//! What SQL over flows knows besides DataFusion's own functions: addresses.
//!
//! With constant arguments `rules::addresses` replaces these calls by comparisons of numbers, which prune.

use crate::encode::sixteen_bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, UInt32Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, UInt32Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use netwhy_flows::Address;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The four functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Work {
    /// `ip('10.0.0.1')`: the number of an IPv4 address.
    Ip,
    /// `in_subnet(src, '10.0.0.0/8')`.
    InSubnet,
    /// `address_text(src)`: for `LIKE`, `concat` and the like.
    AddressText,
    /// `address(src, src6)`: both kinds in one column of 16 bytes.
    Address,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    work: Work,
    signature: Signature,
}

/// All functions, for a session, a scheduler or an executor.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    let counts = [(Work::Ip, 1), (Work::InSubnet, 2), (Work::AddressText, 1), (Work::Address, 2)];
    let function = |(work, count)| {
        let signature = Signature::any(count, Volatility::Immutable);
        Arc::new(ScalarUDF::from(Function { work, signature }))
    };
    counts.map(function).to_vec()
}

/// A subnet as its first and last address; a bare address is a subnet of one.
pub fn subnet(text: &str) -> Option<(Address, Address)> {
    let (address, length) =
        text.trim().split_once('/').map_or((text.trim(), None), |(ip, len)| (ip, Some(len)));
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length: u32 = length.map_or(Some(bits), |length| length.parse().ok())?;
    if length > bits {
        return None;
    }
    let number = Address::from(address).0;
    let host = if bits == length { 0 } else { u128::MAX >> (128 - (bits - length)) };
    Some((Address(number & !host), Address(number | host)))
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        match self.work {
            Work::Ip => "ip",
            Work::InSubnet => "in_subnet",
            Work::AddressText => "address_text",
            Work::Address => "address",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.work {
            Work::Ip => DataType::UInt32,
            Work::InSubnet => DataType::Boolean,
            Work::AddressText => DataType::Utf8,
            Work::Address => DataType::FixedSizeBinary(16),
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let field = Field::new(self.name(), self.return_type(&types)?, true);
        Ok(Arc::new(match self.work {
            Work::Ip | Work::Address => field.with_metadata(HashMap::from([(
                crate::schema::FORMAT_KEY.to_owned(),
                crate::schema::ADDRESS.to_owned(),
            )])),
            Work::InSubnet | Work::AddressText => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let result: ArrayRef = match (self.work, arrays.as_slice()) {
            (Work::Ip, [texts]) => Arc::new(numbers(texts)?),
            (Work::InSubnet, [addresses, subnets]) => Arc::new(inside(addresses, subnets)?),
            (Work::AddressText, [addresses]) => {
                let texts =
                    read(addresses)?.into_iter().map(|address| address.map(|address| address.to_string()));
                Arc::new(StringArray::from_iter(texts))
            }
            (Work::Address, [narrow, wide]) => both(narrow, wide)?,
            _ => return plan_err!("{} takes another number of arguments", self.name()),
        };
        Ok(ColumnarValue::Array(result))
    }
}

fn numbers(texts: &ArrayRef) -> Result<UInt32Array> {
    let texts = cast(texts, &DataType::Utf8)?;
    let number = |text: &str| text.parse::<std::net::Ipv4Addr>().ok().map(|address| address.to_bits());
    Ok(texts.as_string::<i32>().iter().map(|text| text.and_then(number)).collect())
}

fn inside(addresses: &ArrayRef, subnets: &ArrayRef) -> Result<BooleanArray> {
    let addresses = read(addresses)?;
    let subnets = cast(subnets, &DataType::Utf8)?;
    let pairs = addresses.into_iter().zip(subnets.as_string::<i32>());
    pairs
        .map(|(address, text)| match (address, text) {
            (Some(address), Some(text)) => match subnet(text) {
                Some((first, last)) => Ok(Some(first <= address && address <= last)),
                None => exec_err!("{text} is no subnet"),
            },
            _ => Ok(None),
        })
        .collect()
}

/// Both columns as one of 16 bytes, IPv4 mapped into IPv6.
fn both(narrow: &ArrayRef, wide: &ArrayRef) -> Result<ArrayRef> {
    let (narrow, wide) = (read(narrow)?, read(wide)?);
    Ok(sixteen_bytes(narrow.into_iter().zip(wide).map(|(narrow, wide)| narrow.or(wide)))?)
}

/// The addresses of a column of either kind, or of text.
fn read(column: &ArrayRef) -> Result<Vec<Option<Address>>> {
    Ok(match column.data_type() {
        DataType::UInt32 => {
            column.as_primitive::<UInt32Type>().iter().map(|number| number.map(Address::v4)).collect()
        }
        DataType::FixedSizeBinary(16) => {
            let bytes = column.as_fixed_size_binary();
            let address = |row| Some(Address(u128::from_be_bytes(bytes.value(row).try_into().ok()?)));
            (0..column.len()).map(|row| if bytes.is_valid(row) { address(row) } else { None }).collect()
        }
        DataType::Null => vec![None; column.len()],
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let texts = cast(column, &DataType::Utf8)?;
            let parse = |text: &str| text.parse::<IpAddr>().ok().map(Address::from);
            texts.as_string::<i32>().iter().map(|text| text.and_then(parse)).collect()
        }
        other => return exec_err!("{other} is no address"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_has_a_first_and_a_last_address() {
        let text =
            |subnet: Option<(Address, Address)>| subnet.map(|(a, b)| format!("{a}-{b}")).unwrap_or_default();
        assert_eq!(text(subnet("10.1.2.3/8")), "10.0.0.0-10.255.255.255");
        assert_eq!(text(subnet("10.1.2.3")), "10.1.2.3-10.1.2.3");
        assert_eq!(text(subnet("2001:db8::/32")), "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
        assert_eq!(subnet("::/0"), Some((Address(0), Address(u128::MAX))));
        assert_eq!(subnet("10.0.0.0/33"), None);
        assert_eq!(subnet("ten"), None);
    }
}
