namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>A method that a kernel calls to wait for other threads. Called again after the wait, it gives its result.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class MeetsAttribute : Attribute;
