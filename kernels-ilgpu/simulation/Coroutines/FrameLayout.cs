using System.Reflection;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>What is where in the frame of a coroutine: where it waits, its arguments, local variables and result, and what it keeps while it waits.</summary>
internal sealed class FrameLayout
{
    private readonly int _fixedSize;
    private int _size;

    /// <summary>A frame.</summary>
    public FrameLayout(Type[] arguments, Type[] locals, Type result)
    {
        State = Slot.Take(ref _size, typeof(int));
        Arguments = Take(arguments);
        FirstLocal = _size;
        Locals = Take(locals);
        LocalBytes = _size - FirstLocal;
        Result = result == typeof(void) ? null : Slot.Take(ref _size, result);
        _fixedSize = _size;
    }

    /// <summary>Where it waits; 0 before it begins.</summary>
    public Slot State { get; }

    /// <summary>The arguments.</summary>
    public Slot[] Arguments { get; }

    /// <summary>The local variables.</summary>
    public Slot[] Locals { get; }

    /// <summary>The first byte of the local variables.</summary>
    public int FirstLocal { get; }

    /// <summary>The bytes of the local variables, zero at the beginning.</summary>
    public int LocalBytes { get; }

    /// <summary>The result.</summary>
    public Slot? Result { get; }

    /// <summary>All bytes.</summary>
    public int Size => (_size + 15) & -16;

    /// <summary>Makes room for what is kept at a call; only one is waited for at a time, so all share the room.</summary>
    public WaitPoint AddWaitPoint(int state, MethodInfo method, Coroutine? coroutine, StackEntry[] stack)
    {
        int argumentCount = StackEntry.Parameters(method).Length;
        int end = _fixedSize;
        var kept = new (StackEntry, Slot)[stack.Length];
        for (int i = 0; i < stack.Length; i++)
        {
            int argument = i - (stack.Length - argumentCount);
            Slot slot = stack[i].Constant is not null ? default
                : argument >= 0 && coroutine is not null ? coroutine.Arguments[argument]
                : Slot.Take(ref end, stack[i].Type);
            kept[i] = (stack[i], slot);
        }

        _size = Math.Max(_size, end);
        return new WaitPoint(state, method, coroutine, kept, argumentCount);
    }

    private Slot[] Take(Type[] types)
    {
        Slot[] slots = new Slot[types.Length];
        for (int i = 0; i < types.Length; i++)
        {
            slots[i] = Slot.Take(ref _size, types[i]);
        }

        return slots;
    }
}
