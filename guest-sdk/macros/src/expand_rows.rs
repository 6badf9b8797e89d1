//! The kinds by field that see keys, event times and headers: process, source and sink.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::expand::{close, flush, open, replay};
use crate::kind::Kind;
use crate::operator::{Operator, tried};
use crate::port_parameters::{PortParameter, passed};

/// Generates a process, source or sink by field.
pub(crate) fn kind(operator: &Operator) -> TokenStream {
    match operator.kind {
        Kind::Process => process(operator),
        Kind::Source => source(operator),
        _ => sink(operator),
    }
}

fn process(operator: &Operator) -> TokenStream {
    let (ty, names) = (&operator.ty, names(operator));
    let open = open(operator, &quote!(, tables: &mut ::sage_guest::state::Tables));
    let close = close(operator);
    let (record, read) = record(operator);
    let (outputs, each) = outputs(operator);
    let user = tried(operator.call.clone(), operator.checked.fallible);
    let whole = quote_spanned! {record.span()=>
        call.whole::<#record, _>(#outputs, |records, ports| -> ::core::result::Result<(), ::sage_guest::Error> {
            #each
            let () = #user;
            ::core::result::Result::Ok(())
        })
    };
    let each_record = quote_spanned! {record.span()=>
        call.each::<#record, _>(#outputs, #[inline(always)] |record, ports| -> ::core::result::Result<(), ::sage_guest::Error> {
            #read
            #each
            let () = #user;
            ::core::result::Result::Ok(())
        })
    };
    let call = if operator.whole { whole } else { each_record };
    let end = operator.hooks.end.as_ref().map(|end| {
        let extends = ports(operator).iter().enumerate().filter(|(at, _)| operator.hooks.last_ports.contains(at));
        let extends = extends.map(|(_, port)| {
            extends_nothing(
                &port.record,
                "a record with `#[record(extends)]` extends an input record, and `end` has none: leave this output out of \
                 `end`, or give all fields",
            )
        });
        quote! {
            fn end(&mut self) -> ::core::result::Result<(), ::sage_guest::Error> {
                #(#extends)*
                ::sage_guest::operator::emit_last(#outputs, |ports| {
                    #each
                    let () = #end;
                    ::core::result::Result::Ok(())
                })
            }
        }
    });
    quote! {
        impl ::sage_guest::operator::FieldsProcess for #ty {
            const PORTS: &'static [&'static str] = &[#(#names),*];

            #open

            fn process(&mut self, call: ::sage_guest::operator::FieldsCall<'_>) {
                #call
            }

            #end
            #close
        }
    }
}

fn source(operator: &Operator) -> TokenStream {
    let (ty, names) = (&operator.ty, names(operator));
    let (open, close, replay) = (open(operator, &quote!()), close(operator), replay(operator));
    let (outputs, each) = outputs(operator);
    let user = tried(operator.call.clone(), operator.checked.fallible);
    let extends = ports(operator).iter().map(|port| {
        extends_nothing(
            &port.record,
            "a record with `#[record(extends)]` extends an input record, and a source has none: give all fields",
        )
    });
    quote! {
        impl ::sage_guest::operator::FieldsSource for #ty {
            const PORTS: &'static [&'static str] = &[#(#names),*];

            #open

            fn next(
                &mut self,
                call: ::sage_guest::operator::FieldsNext,
            ) -> ::core::result::Result<::sage_guest::Progress, ::sage_guest::Error> {
                #(#extends)*
                call.each(#outputs, |ports| {
                    #each
                    ::core::result::Result::Ok(#user)
                })
            }

            #replay
            #close
        }
    }
}

fn sink(operator: &Operator) -> TokenStream {
    let ty = &operator.ty;
    let (open, close, flush) = (open(operator, &quote!()), close(operator), flush(operator));
    let (record, read) = record(operator);
    let user = tried(operator.call.clone(), operator.checked.fallible);
    let call = quote_spanned! {record.span()=>
        call.each::<#record>(#[inline(always)] |record| -> ::core::result::Result<(), ::sage_guest::Error> {
            #read
            let () = #user;
            ::core::result::Result::Ok(())
        })
    };
    quote! {
        impl ::sage_guest::operator::FieldsSink for #ty {
            #open

            fn write(&mut self, call: ::sage_guest::operator::FieldsWrite<'_>) {
                #call
            }

            #flush
            #close
        }
    }
}

fn ports(operator: &Operator) -> &[PortParameter] {
    operator.checked.by_field.as_ref().map_or(&[], |by_field| &by_field.ports)
}

/// The names of the side outputs.
fn names(operator: &Operator) -> Vec<&str> {
    ports(operator).iter().skip(1).map(|port| port.name.as_str()).collect()
}

/// The type of the record, and code that leaves it alone if the user's code takes no key, event time and headers.
fn record(operator: &Operator) -> (Option<&Type>, Option<TokenStream>) {
    let with_key = operator.checked.by_field.as_ref().is_some_and(|by_field| by_field.with_key);
    (operator.checked.record.as_ref(), (!with_key).then(|| quote!(let record = record.payload;)))
}

/// Code that makes the outputs, as nested pairs, and code that gives each a name.
fn outputs(operator: &Operator) -> (TokenStream, TokenStream) {
    let (mut made, mut names) = (quote!(()), quote!(()));
    for (at, port) in ports(operator).iter().enumerate().rev() {
        let (record, name, number) = (&port.record, passed(at), u32::try_from(at).unwrap_or(u32::MAX));
        let port = quote_spanned!(record.span()=> ::sage_guest::Port::<#record>::new(#number));
        (made, names) = (quote!((#port, #made)), quote!((#name, #names)));
    }
    (made, quote!(let #names = ports;))
}

/// Code that does not compile if a record extends its input.
fn extends_nothing(record: &Type, message: &str) -> TokenStream {
    quote_spanned! {record.span()=>
        const _: () = ::core::assert!(!<#record as ::sage_guest::fields::IntoFields>::EXTENDS, #message);
    }
}
