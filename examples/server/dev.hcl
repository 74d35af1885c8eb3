# For trying the server out: no TLS, shares only, a directory below this one.

storage "file" {
  path = "./server-data"
}

listener "tcp" {
  address     = "127.0.0.1:8200"
  tls_disable = "true"
}

# To move from shares to a key: make it with
#   openssl rand -hex 32 > /etc/sealwright/kms.key
# uncomment this, restart, and give the shares to bao operator unseal -migrate.
# To move back, set disabled = "true", restart, and give them again.
#
# seal "static" {
#   current_key_id = "2026"
#   current_key    = "file:///etc/sealwright/kms.key"
# }
