"""Writes pyjwt.json: tokens made by PyJWT with keys that exist only while this runs. Needs pyjwt[crypto]."""

import json
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOW = 1_800_000_000
CLAIMS = {"sub": "ann", "iat": NOW - 10, "exp": NOW + 600, "iss": "https://login.example", "aud": ["wse", "api"], "role": "admin", "n": 2**53 + 1}
SECRET = "the secret of the fixed vectors: 64 bytes long, so that HS512 fit"


def public(key) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def main() -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    private = {"RSA": rsa_key, "P-256": ec.generate_private_key(ec.SECP256R1()), "P-384": ec.generate_private_key(ec.SECP384R1())}
    private |= {"Ed25519": ed25519.Ed25519PrivateKey.generate(), "RSA-1024": rsa.generate_private_key(65537, 1024)}
    kinds = {"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA"}
    kinds |= {"ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519"}
    tokens = {name: jwt.encode(CLAIMS, SECRET, name) for name in ("HS256", "HS384", "HS512")}
    tokens |= {name: jwt.encode(CLAIMS, private[kind], name, headers={"kid": kind}) for name, kind in kinds.items()}
    keys = {kind: public(key) for kind, key in private.items()}
    keys["RSA, PKCS #1"] = rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    vectors = {"about": "made by pyjwt.py", "now": NOW, "claims": CLAIMS, "secret": SECRET, "keys": keys, "kinds": kinds, "tokens": tokens}
    Path(__file__).with_suffix(".json").write_text(json.dumps(vectors, indent=1) + "\n")


main()
