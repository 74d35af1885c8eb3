package move

import "github.com/sealwright/sealwright/examples/internal/fakeclouds"

// Main runs one of the programs that are nothing but a [Program], by its flags.
func Main(name string) {
	p, ok := Named(name)
	if !ok {
		panic("move: there is no program " + name)
	}
	p.Main()
}

// Named returns such a program.
func Named(name string) (p Program, ok bool) {
	p = Program{Name: name}
	switch name {
	case "shamir-to-azure":
		p.Wants = "azurekeyvault"
		p.Demo.Before = func(*fakeclouds.Clouds) string { return People }
		p.Demo.After = func(c *fakeclouds.Clouds) string { return c.AzureStanza() }
	case "azure-to-shamir":
		p.Wants = "shamir"
		p.Demo.Before = func(c *fakeclouds.Clouds) string { return c.AzureStanza() }
		p.Demo.After = func(c *fakeclouds.Clouds) string { return c.AzureStanza(Disabled) + People }
	case "aws-to-gcp":
		p.Wants = "gcpckms"
		p.Demo.Before = func(c *fakeclouds.Clouds) string { return c.AWSStanza() }
		p.Demo.After = func(c *fakeclouds.Clouds) string { return c.AWSStanza(Disabled) + c.GCPStanza() }
	case "two-of-three-clouds":
		p.Wants = "threshold"
		p.Demo.Before = func(*fakeclouds.Clouds) string { return People }
		p.Demo.After = func(c *fakeclouds.Clouds) string {
			return c.AzureStanza() + c.AWSStanza() + c.GCPStanza() + tree
		}
		p.Demo.Check = loseEach
	default:
		return p, false
	}
	return p, true
}
