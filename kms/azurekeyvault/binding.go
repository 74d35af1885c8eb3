package azurekeyvault

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/sealwright/sealwright/kms/provider"
)

// The variables of AKS identity bindings: a proxy in the cluster exchanges the
// service account's token in place of Entra ID.
const (
	proxyVariable  = "AZURE_KUBERNETES_TOKEN_PROXY"
	caFileVariable = "AZURE_KUBERNETES_CA_FILE"
	caDataVariable = "AZURE_KUBERNETES_CA_DATA"
)

// chainVariable narrows the SDK's default chain.
const chainVariable = "AZURE_TOKEN_CREDENTIALS"

// checkPlatform returns what is wrong with the variables of a platform that the
// SDK would say at every call, or not at all.
func (c Config) checkPlatform() error {
	if !c.AllowEnvironment {
		return nil
	}
	if chain, ok := os.LookupEnv(chainVariable); ok && c.Auth == AuthDefault && strings.TrimSpace(chain) == "" {
		return fmt.Errorf("the environment has an empty %s, which the SDK refuses: unset it, or say prod, dev, or the name of a credential", chainVariable)
	}
	proxy := os.Getenv(proxyVariable)
	switch {
	case proxy == "":
		return nil
	case c.Auth == AuthDefault:
		return fmt.Errorf("the environment has %s, for an AKS identity binding, and the SDK's chain does not use it: set Auth to %s", proxyVariable, AuthWorkloadIdentity)
	case c.Auth != AuthWorkloadIdentity:
		return nil
	}
	u, err := url.Parse(proxy)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("the environment's %s must read https://HOST, and a path perhaps", proxyVariable)
	}
	if os.Getenv(caDataVariable) != "" && os.Getenv(caFileVariable) != "" {
		return fmt.Errorf("the environment has %s and %s: unset one", caFileVariable, caDataVariable)
	}
	if provider.IsContent(os.Getenv(caFileVariable)) {
		return fmt.Errorf("the environment's %s must be the path of a file: its content goes into %s", caFileVariable, caDataVariable)
	}
	return nil
}

// bound reports whether an AKS identity binding exchanges the token.
func (c Config) bound() bool {
	return c.AllowEnvironment && c.Auth == AuthWorkloadIdentity && os.Getenv(proxyVariable) != ""
}

// bindingCredential returns the SDK's credential, which alone knows the proxy.
// It reads the proxy's CA anew when that changes. What it keeps of TokenFile for
// ten minutes does not matter: it is made anew when the file changes.
func (c Config) bindingCredential(options azcore.ClientOptions) (azcore.TokenCredential, error) {
	if file := os.Getenv(caFileVariable); file != "" {
		if _, err := provider.ReadFile(caFileVariable, file); err != nil {
			return nil, err
		}
	}
	return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: options, TenantID: c.TenantID, ClientID: c.ClientID, TokenFilePath: c.TokenFile,
		DisableInstanceDiscovery: true, EnableAzureProxy: true,
	})
}
