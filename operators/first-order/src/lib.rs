//! `first-order`: passes the first order of each customer, with all its fields, and drops the others, across restarts.
//! The same as `dedupe`, by field. Shows a process that reads one field and keeps the rest of the record.

use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Error, Port, Record, metrics};

/// The field that is read.
#[derive(Debug, Record)]
#[record(extends)]
pub struct Order<'a> {
    /// Name of the customer.
    pub customer: &'a str,
}

/// The customers that have ordered.
#[derive(Debug)]
pub struct FirstOrder {
    seen: Value<bool>,
}

/// Passes the first record of each key and drops the others. A record without a customer is rejected.
#[sage_guest::process]
impl FirstOrder {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { seen: tables.value("seen")? })
    }

    fn process(&mut self, order: Order<'_>, out: &mut Port<Order>) -> Result<(), Error> {
        if order.customer.is_empty() {
            return Err("an order without a customer".into());
        }
        if self.seen.get()?.is_some() {
            metrics::counter("duplicates", 1);
            return Ok(());
        }
        self.seen.put(true)?;
        out.emit(order)
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing::{self, Record};
    use serde_json::json;

    use super::FirstOrder;

    fn order(customer: &str, number: u32) -> Record {
        Record::new(json!({ "number": number, "customer": customer }).to_string()).key(customer)
    }

    #[test]
    fn the_first_order_of_each_customer_passes_with_its_other_fields() {
        let mut lane = testing::FieldsProcess::<FirstOrder>::open(json!({})).unwrap();
        let first = lane.run([order("a", 1), order("b", 2), order("a", 3), order("", 4)]);
        assert_eq!(first.texts(), [r#"{"number":1,"customer":"a"}"#, r#"{"number":2,"customer":"b"}"#]);
        assert_eq!(first.messages(), ["an order without a customer"]);
        lane.restart().unwrap();
        assert_eq!(lane.run([order("b", 5), order("c", 6)]).texts(), [r#"{"number":6,"customer":"c"}"#]);
        assert_eq!(lane.counter("duplicates"), 2);
    }
}
