using System.Reflection;
using System.Runtime.CompilerServices;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>A place in a frame.</summary>
/// <param name="Offset">Bytes from the start of the frame.</param>
/// <param name="Type">What is there; a reference to memory is there as a number.</param>
internal readonly record struct Slot(int Offset, Type Type)
{
    private const int Alignment = 8;

    private static readonly MethodInfo SizeOf = typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!;
    private static readonly MethodInfo HasReferences = typeof(RuntimeHelpers).GetMethod(nameof(RuntimeHelpers.IsReferenceOrContainsReferences))!;

    /// <summary>The next free place of a frame, which grows by it.</summary>
    /// <exception cref="UnfollowableException">A frame, which the garbage collector does not look at, cannot hold the type.</exception>
    public static Slot Take(ref int frameSize, Type type)
    {
        Type held = type.IsByRef || type.IsPointer ? typeof(nint) : type;
        int offset = frameSize;
        frameSize += (Size(held) + Alignment - 1) & -Alignment;
        return new Slot(offset, held);
    }

    /// <summary>Bytes of a value.</summary>
    public static int Size(Type type)
    {
        // Spans of what is left at meetings, which does not move.
        if (type.IsByRefLike && type.IsGenericType && (type.GetGenericTypeDefinition() == typeof(ReadOnlySpan<>) || type.GetGenericTypeDefinition() == typeof(Span<>)))
        {
            return 2 * nint.Size;
        }

        if (type.IsByRefLike || !type.IsValueType || (bool)HasReferences.MakeGenericMethod(type).Invoke(null, null)!)
        {
            throw new UnfollowableException($"It keeps a {type.Name} while it waits.");
        }

        return (int)SizeOf.MakeGenericMethod(type).Invoke(null, null)!;
    }
}
