using System.Reflection.Emit;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>
/// A method that can be left while it waits and entered again where it was: its arguments and local variables are in a frame of memory, and
/// it returns whether it has come to its end.
/// </summary>
/// <param name="Method">Gets the address of its frame.</param>
/// <param name="Enter">The same, to be called from here. Making it compiles the method, so that it fails now if ever.</param>
/// <param name="Arguments">Where its arguments are.</param>
/// <param name="Result">Where its result is at the end; null if it has none.</param>
/// <param name="FrameSize">Bytes of its own frame. The frame of a method that it calls comes after it.</param>
/// <param name="StackSize">Bytes of its frame and of the frames of all that it can call at once.</param>
internal sealed record Coroutine(DynamicMethod Method, Func<nint, bool> Enter, Slot[] Arguments, Slot? Result, int FrameSize, int StackSize);
