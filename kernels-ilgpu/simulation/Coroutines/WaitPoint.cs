using System.Reflection;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>A call that may have to wait.</summary>
/// <param name="State">What the frame holds while it waits there.</param>
/// <param name="Method">What is called.</param>
/// <param name="Coroutine">Its coroutine; null for a method that meets other threads itself.</param>
/// <param name="Stack">What is on the evaluation stack before the call, with the place in the frame for it.</param>
/// <param name="ArgumentCount">How many of these are arguments of the call.</param>
internal sealed record WaitPoint(int State, MethodInfo Method, Coroutine? Coroutine, (StackEntry Entry, Slot Slot)[] Stack, int ArgumentCount)
{
    /// <summary>What stays on the stack below the arguments.</summary>
    public ReadOnlySpan<(StackEntry Entry, Slot Slot)> Below => Stack.AsSpan(0, Stack.Length - ArgumentCount);

    /// <summary>The arguments.</summary>
    public ReadOnlySpan<(StackEntry Entry, Slot Slot)> Arguments => Stack.AsSpan(Stack.Length - ArgumentCount);
}
