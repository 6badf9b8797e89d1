use super::{Diagnostic, Diagnostics, Spanned, ten_thousandths};

/// Reads an amount to give away, in 1/10,000; `what` names it in messages.
pub(super) fn given_amount(what: &str, amount: &Spanned<f64>, errors: &mut Diagnostics) -> Option<u64> {
    let scaled = ten_thousandths(amount.value);
    if scaled.is_none() {
        let message = format!("{what}: {} cannot be given away", amount.value);
        errors.push(Diagnostic::new(message).on(amount).hint("0 or above, in steps of 0.0001"));
    }
    scaled
}
