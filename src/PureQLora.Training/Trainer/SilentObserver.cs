namespace PureQLora.Training;

/// <summary>Shows nothing.</summary>
internal sealed class SilentObserver : IRunObserver;
