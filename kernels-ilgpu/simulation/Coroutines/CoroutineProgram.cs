using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>A kernel as a coroutine, with the arguments of a launch.</summary>
internal sealed class CoroutineProgram
{
    // Kernels are compiled once for all accelerators: the same few are launched again and again.
    private static readonly Lock CompilerLock = new();
    private static readonly CoroutineCompiler Compiler = new();
    private static readonly Dictionary<MethodInfo, CompiledKernel> Kernels = [];
    private static readonly MethodInfo WriteArgument = typeof(CoroutineProgram).GetMethod(nameof(Write), BindingFlags.NonPublic | BindingFlags.Static)!;

    private readonly Func<nint, bool> _enter;
    private readonly byte[] _frame;

    private CoroutineProgram(Func<nint, bool> enter, int stackSize, byte[] frame) => (_enter, StackSize, _frame) = (enter, stackSize, frame);

    /// <summary>Bytes of memory that a thread needs for its frames.</summary>
    public int StackSize { get; }

    /// <summary>The program of a launch; null for kernels that never wait, and for those that cannot be coroutines.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="arguments">Of exactly the types of its parameters.</param>
    /// <param name="obstacle">Why a kernel that waits cannot be one; null if it can, or never waits.</param>
    public static CoroutineProgram? Create(Delegate kernel, object[] arguments, out string? obstacle)
    {
        CompiledKernel? compiled;
        lock (CompilerLock)
        {
            if (!Kernels.TryGetValue(kernel.Method, out compiled))
            {
                compiled = Compile(kernel.Method);
                Kernels.Add(kernel.Method, compiled);
            }
        }

        obstacle = compiled.Obstacle;
        if (compiled.Coroutine is not { } coroutine)
        {
            return null;
        }

        if (kernel.Target is not null)
        {
            obstacle = "It belongs to an object, as a lambda does; only a static method can be followed.";
            return null;
        }

        byte[] frame = new byte[coroutine.FrameSize];
        for (int i = 0; i < arguments.Length; i++)
        {
            Slot slot = coroutine.Arguments[i];
            WriteArgument.MakeGenericMethod(slot.Type).Invoke(null, [frame, slot.Offset, arguments[i]]);
        }

        return new CoroutineProgram(coroutine.Enter, coroutine.StackSize, frame);
    }

    /// <summary>Lets a thread begin at the first instruction.</summary>
    public void Begin(nint stack) => Marshal.Copy(_frame, 0, stack, _frame.Length);

    /// <summary>Lets a thread go on; whether it has come to the kernel's end.</summary>
    public bool Run(nint stack) => _enter(stack);

    private static CompiledKernel Compile(MethodInfo kernel)
    {
        try
        {
            return new CompiledKernel(Compiler.Waits(kernel) ? Compiler.Compile(kernel) : null, Obstacle: null);
        }
        catch (Exception exception) when (exception is UnfollowableException or InvalidProgramException)
        {
            return new CompiledKernel(null, exception.Message);
        }
    }

    private static void Write<T>(byte[] frame, int offset, object value) => Unsafe.WriteUnaligned(ref frame[offset], (T)value);

    private sealed record CompiledKernel(Coroutine? Coroutine, string? Obstacle);
}
