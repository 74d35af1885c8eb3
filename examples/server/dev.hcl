# For trying the server out: no TLS, shares only, a directory below this one.

storage "file" {
  path = "./server-data"
}

listener "tcp" {
  address     = "127.0.0.1:8200"
  tls_disable = "true"

  # Whoever is on this machine is told in full why the server is sealed. Never
  # behind a proxy: there everybody is.
  trust_loopback = "true"
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
#
# Or to a key in Azure, with the client's secret in a file that is mounted:
#
# seal "azurekeyvault" {
#   tenant_id     = "72f988bf-86f1-41af-91ab-2d7cd011db47"
#   client_id     = "11111111-2222-3333-4444-555555555555"
#   client_secret = "file:///run/secrets/azure"
#   vault_name    = "prod"
#   key_name      = "unseal"
# }
