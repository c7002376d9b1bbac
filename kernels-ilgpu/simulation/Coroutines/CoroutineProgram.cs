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
    private static readonly Dictionary<MethodInfo, (Coroutine Coroutine, Func<nint, bool> Enter)?> Kernels = [];
    private static readonly MethodInfo WriteArgument = typeof(CoroutineProgram).GetMethod(nameof(Write), BindingFlags.NonPublic | BindingFlags.Static)!;

    private readonly Func<nint, bool> _enter;
    private readonly byte[] _frame;

    private CoroutineProgram(Func<nint, bool> enter, int stackSize, byte[] frame) => (_enter, StackSize, _frame) = (enter, stackSize, frame);

    /// <summary>Bytes of memory that a thread needs for its frames.</summary>
    public int StackSize { get; }

    /// <summary>The program of a launch; null for kernels that never wait, and for those that cannot be coroutines.</summary>
    public static CoroutineProgram? Create(Delegate kernel, object[] arguments)
    {
        (Coroutine Coroutine, Func<nint, bool> Enter)? compiled;
        lock (CompilerLock)
        {
            if (!Kernels.TryGetValue(kernel.Method, out compiled))
            {
                compiled = kernel.Target is null ? Compile(kernel.Method) : null;
                Kernels.Add(kernel.Method, compiled);
            }
        }

        if (compiled is not { } program || arguments.Length != program.Coroutine.Arguments.Length)
        {
            return null;
        }

        byte[] frame = new byte[program.Coroutine.FrameSize];
        for (int i = 0; i < arguments.Length; i++)
        {
            Slot slot = program.Coroutine.Arguments[i];
            WriteArgument.MakeGenericMethod(slot.Type).Invoke(null, [frame, slot.Offset, arguments[i]]);
        }

        return new CoroutineProgram(program.Enter, program.Coroutine.StackSize, frame);
    }

    /// <summary>Lets a thread begin at the first instruction.</summary>
    public void Begin(nint stack) => Marshal.Copy(_frame, 0, stack, _frame.Length);

    /// <summary>Lets a thread go on; whether it has come to the kernel's end.</summary>
    public bool Run(nint stack) => _enter(stack);

    private static (Coroutine Coroutine, Func<nint, bool> Enter)? Compile(MethodInfo kernel)
    {
        try
        {
            if (!Compiler.Waits(kernel))
            {
                return null;
            }

            Coroutine coroutine = Compiler.Compile(kernel);
            return (coroutine, coroutine.Method.CreateDelegate<Func<nint, bool>>());
        }
        catch (UnfollowableException)
        {
            return null;
        }
    }

    private static void Write<T>(byte[] frame, int offset, object value) => Unsafe.WriteUnaligned(ref frame[offset], (T)value);
}
