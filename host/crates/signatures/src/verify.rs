use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use ssh_key::public::{EcdsaPublicKey, KeyData};
use ssh_key::{Algorithm, HashAlg, Mpint, SshSig};

use super::{FileHash, NAMESPACE, SignatureError};

/// Whether a signature is one of the bytes with this hash, by the key that it has.
pub(crate) fn is_of(signature: &SshSig, hash: &FileHash) -> Result<bool, SignatureError> {
    let (name, digest): (&str, &[u8]) = match signature.hash_alg() {
        HashAlg::Sha256 => ("sha256", &hash.sha256),
        HashAlg::Sha512 => ("sha512", &hash.sha512),
        _ => return Err(unsupported(signature)),
    };
    let message = message(signature.reserved(), name, digest);
    let bytes = signature.signature().as_bytes();
    let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8], signature: &[u8]| {
        UnparsedPublicKey::new(algorithm, key).verify(&message, signature).is_ok()
    };
    match (signature.public_key(), signature.signature().algorithm()) {
        (KeyData::Ed25519(key), Algorithm::Ed25519) => Ok(by(&ED25519, &key.0, bytes)),
        (KeyData::Ecdsa(key @ EcdsaPublicKey::NistP256(_)), Algorithm::Ecdsa { .. }) => {
            Ok(fixed(bytes, 32).is_some_and(|fixed| by(&ECDSA_P256_SHA256_FIXED, key.as_sec1_bytes(), &fixed)))
        }
        (KeyData::Ecdsa(key @ EcdsaPublicKey::NistP384(_)), Algorithm::Ecdsa { .. }) => {
            Ok(fixed(bytes, 48).is_some_and(|fixed| by(&ECDSA_P384_SHA384_FIXED, key.as_sec1_bytes(), &fixed)))
        }
        (KeyData::Rsa(key), Algorithm::Rsa { hash: Some(hash) }) => {
            let number = |number: &Mpint| number.as_positive_bytes().map(<[u8]>::to_vec);
            let (Some(n), Some(e)) = (number(&key.n), number(&key.e)) else { return Ok(false) };
            let parameters = match hash {
                HashAlg::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                HashAlg::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
                _ => return Err(unsupported(signature)),
            };
            Ok(RsaPublicKeyComponents { n, e }.verify(parameters, &message, bytes).is_ok())
        }
        _ => Err(unsupported(signature)),
    }
}

fn unsupported(signature: &SshSig) -> SignatureError {
    SignatureError::Unsupported { algorithm: signature.signature().algorithm().to_string() }
}

/// The bytes that a key signs (PROTOCOL.sshsig of OpenSSH).
fn message(reserved: &[u8], hash: &str, digest: &[u8]) -> Vec<u8> {
    let mut message = b"SSHSIG".to_vec();
    for part in [NAMESPACE.as_bytes(), reserved, hash.as_bytes(), digest] {
        // Each part was bounded with the signature.
        message.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

/// The two numbers of an ECDSA signature, each with `length` bytes.
fn fixed(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let mut fixed = Vec::with_capacity(2 * length);
    for _ in 0..2 {
        let (size, tail) = rest.split_first_chunk::<4>()?;
        let (number, tail) = tail.split_at_checked(usize::try_from(u32::from_be_bytes(*size)).ok()?)?;
        rest = tail;
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let number = number.get(zeros..)?;
        fixed.resize(fixed.len() + length.checked_sub(number.len())?, 0);
        fixed.extend_from_slice(number);
    }
    rest.is_empty().then_some(fixed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_numbers_of_an_ecdsa_signature_are_padded_and_bounded() {
        assert_eq!(fixed(&[0, 0, 0, 2, 0, 200, 0, 0, 0, 1, 7], 2), Some(vec![0, 200, 0, 7]));
        assert_eq!(fixed(&[0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 1, 7], 2), None, "too long");
        assert_eq!(fixed(&[0, 0, 0, 1, 1, 0, 0, 0, 1, 7, 9], 2), None, "something behind them");
    }

    proptest! {
        #[test]
        fn any_bytes_are_two_numbers_or_none(bytes: Vec<u8>) {
            prop_assert!(fixed(&bytes, 32).is_none_or(|fixed| fixed.len() == 64));
        }
    }
}
