using System.Runtime.CompilerServices;
using ILGPU;
using PureQLora.Kernels.Simulation;

namespace PureQLora.Kernels.Tests.Simulation;

/// <summary>Kernels that wait in the middle of expressions, in loops and in functions that they call; groups of 32 threads.</summary>
internal static class WindingKernels
{
    private static readonly Action WaitForTheWarp = () => Warp.Barrier();

    public interface IOperation
    {
        static abstract int Repeats { get; }

        float Apply(float value);
    }

    /// <summary>Waits between operands, so that something of every type is on the stack meanwhile.</summary>
    public static void Expressions(ArrayView<double> y)
    {
        int lane = Warp.LaneIdx;
        long wide = 1L << 40;
        float half = 0.5f;
        double quarter = 0.25;
        Quad quad = new(lane, 1, 2, 3);
        y[lane] = wide + (half * Warp.Shuffle(lane, 3)) + (quarter * Warp.ShuffleXor(quad, 1).X) + (lane % 2 == 0 ? Warp.LaneIdx : -1)
            + Add(Warp.Broadcast(2f, 0), Warp.ShuffleDown((byte)lane, 1), Warp.Broadcast(wide, 1));
    }

    /// <summary>Passes references to its own variables to functions that wait.</summary>
    public static void References(ArrayView<float> y)
    {
        Quad sums = new(1, 2, 3, 4);
        float total = 0;
        for (int i = 0; i < 3; i++)
        {
            Accumulate(ref sums, out float last, i);
            total += last;
        }

        ref Quad alias = ref sums;
        alias.Y += Warp.Shuffle(alias.Y, 0);
        y[Group.IdxX] = sums.X + sums.Y + total;
    }

    /// <summary>Functors whose methods wait, and constants of the type.</summary>
    public static void Functors<TOperation>(FunctorArguments<TOperation> arguments)
        where TOperation : unmanaged, IOperation
    {
        float value = Group.IdxX;
        for (int i = 0; i < TOperation.Repeats; i++)
        {
            value = arguments.Operation.Apply(value);
        }

        ArrayView<float> y = arguments.Y;
        y[Group.IdxX] = value;
    }

    /// <summary>Goes different ways to the same barrier, and leaves at the end only.</summary>
    public static void Branches(ArrayView<int> y, int mode)
    {
        int value = 0;
        switch (mode)
        {
            case 0:
                Group.Barrier();
                value = 1;
                break;
            case 1:
                value = Group.BarrierPopCount(Group.IdxX > 2);
                break;
            case 2:
                while (value < 5)
                {
                    value++;
                    if (Group.BarrierOr(value == 3))
                    {
                        break;
                    }
                }

                break;
            default:
                value = -1;
                break;
        }

        y[Group.IdxX] = value;
    }

    /// <summary>Calls a function whose variables begin with what the last call left, unless they are cleared.</summary>
    public static void Leftovers(ArrayView<int> y) => y[Group.IdxX] = Count(7) + Count(0) + 1;

    /// <summary>All values of the warp in one meeting.</summary>
    public static void Exchange(ArrayView<float> y)
    {
        ReadOnlySpan<float> all = WarpExchange.All(Group.IdxX * 2f);
        float sum = 0;
        for (int i = 0; i < all.Length; i++)
        {
            sum += all[i] * (i + 1);
        }

        y[Group.IdxX] = sum + Warp.Shuffle(1f, 0);
    }

    /// <summary>Waits where nobody can see it coming.</summary>
    public static void Delegates(ArrayView<int> y)
    {
        WaitForTheWarp();
        Group.Barrier();
        y[Group.IdxX] = 1;
    }

    /// <summary>Waits in a try block, which a coroutine cannot.</summary>
    public static void Tries(ArrayView<int> y)
    {
        try
        {
            Group.Barrier();
        }
        finally
        {
            y[Group.IdxX] = 1;
        }
    }

    private static int Count(int value)
    {
        Unsafe.SkipInit(out int found);
        int before = found;
        found = Warp.Shuffle(value, 0);
        return before + (found - value);
    }

    private static double Add(float a, byte b, long c) => a + b + c;

    private static void Accumulate(ref Quad sums, out float last, int distance)
    {
        sums.X += Warp.ShuffleXor(sums.X, distance) + Nested(ref sums);
        last = sums.X;
    }

    private static float Nested(ref Quad sums)
    {
        sums.Z = Warp.Shuffle(sums.Z + 1, 5);
        return sums.Z;
    }

    public readonly record struct FunctorArguments<TOperation>(ArrayView<float> Y, TOperation Operation)
        where TOperation : unmanaged, IOperation;

    public readonly record struct AddNeighbour(float Weight) : IOperation
    {
        public static int Repeats => 2;

        public float Apply(float value) => value + (Weight * Warp.ShuffleXor(value, 1));
    }

    public readonly record struct Negate : IOperation
    {
        public static int Repeats => 3;

        public float Apply(float value)
        {
            Group.Barrier();
            return -value;
        }
    }
}
