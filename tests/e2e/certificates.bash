# Authorities and certificates that live for two days, made by openssl.

make_authority() { # make_authority NAME: NAME.pem and NAME.key
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout "$1.key" -out "$1.pem" \
    -addext keyUsage=critical,keyCertSign 2> openssl.err || { cat openssl.err; false; }
}

make_certificate() { # make_certificate AUTHORITY NAME ALTERNATIVE_NAMES: NAME.pem with its key
  openssl req -newkey rsa:2048 -nodes -subj "/CN=server" -keyout "$2.key" -out "$2.csr" 2> openssl.err &&
  openssl x509 -req -in "$2.csr" -CA "$1.pem" -CAkey "$1.key" -CAcreateserial -days 2 \
    -extfile <(printf 'subjectAltName=%s\n' "$3") -out "$2.crt" 2>> openssl.err || { cat openssl.err; false; }
  cat "$2.crt" "$2.key" > "$2.pem"
}
