package measure

var (
	RunBy         = run
	WallTime      = wallTime
	ProcessorTime = processorTime
)
