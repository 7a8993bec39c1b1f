package guard

import "time"

// Default returns the rules with their published figures. They are meant to let a small shop alone: a range that nobody
// has ever converted in has twenty messages for strangers and gains 29 a day, and no country, line type of ordinary
// numbers or amount of money is refused.
func Default() Rules {
	const month = 28 * Day
	above := func(most float64) Account {
		return Account{Most: most, Growth: most / 1500, Strangers: 1. / 2, Solvers: 1. / 4, Traffic: 1}
	}
	rare := Ratio{ // above the range only what is surely no traffic of people
		Least: 0.20, Count: 100, Z: 4,
		Drop: 0.4, DropCount: 200, DropHistory: 200, DropZ: 4, DropAgainZ: 4,
		Hold: 2 * time.Hour, HoldMost: Day, Forget: month,
	}
	return Rules{
		Accounts: [levels]Account{
			Range:         {Most: 30, Growth: 0.02, Strangers: 1. / 3, Solvers: 1. / 6},
			NetworkPrefix: above(300),
			Country:       above(1000),
			Application:   above(3000),
			Deployment:    above(10_000),
		},
		Conversions: Conversions{Return: 1 / 0.35, Remembered: month},
		Ratios: [levels]Ratio{
			Range: {
				Least: 0.35, Count: 20, Z: 2.58,
				Drop: 0.95, DropCount: 50, DropHistory: 100, DropZ: 4, DropAgainZ: 2.58,
				Hold: Day, HoldMost: 14 * Day, Forget: month,
			},
			NetworkPrefix: rare,
			Country:       rare,
		},
		Density:   Density{Chance: 1e-6, Usual: 0.5, PerWon: 1.5, Newest: 10, Close: 5, Gap: 10},
		LentShare: 1. / 2,
		Vouched:   Account{Most: 60, Growth: 0.04},
	}
}

// DefaultGuessing returns the budgets of wrong codes with their published figures.
func DefaultGuessing() Guessing {
	return Guessing{
		Client:      Budget{Hour: 30, Day: 60},
		Application: Budget{Hour: 2000, Day: 10_000},
		Deployment:  Budget{Hour: 20_000, Day: 100_000},
		Spray:       0.5, SprayCount: 50, SprayZ: 2.58,
		Longer: 2,
	}
}
