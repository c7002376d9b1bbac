using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Rows picked and added by index.</summary>
public static class GatherKernels
{
    /// <summary>y[i] = table[ids[i]], or that with y added; one element a thread.</summary>
    public static readonly Kernel<GatherArguments> Gather = new(RunGather, groupSize: 256);

    /// <summary>table[ids[i]] += updates[i] in the order of i; one column a thread, so that equal ids do not meet.</summary>
    public static readonly Kernel<ScatterArguments> Scatter = new(RunScatter, groupSize: 64);

    private static void RunGather(GatherArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Ids.IntLength * arguments.Width)
        {
            int row = i / arguments.Width;
            float value = arguments.Table.Read((arguments.Ids[row] * arguments.Width) + i - (row * arguments.Width));
            ArrayView<float> y = arguments.Y;
            y[i] = arguments.Target == TargetMode.Add ? y[i] + value : value;
        }
    }

    private static void RunScatter(ScatterArguments arguments)
    {
        int column = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (column < arguments.Width)
        {
            ArrayView<float> table = arguments.Table;
            for (int i = 0; i < arguments.Ids.IntLength; i++)
            {
                table[(arguments.Ids[i] * arguments.Width) + column] += arguments.Updates[(i * arguments.Width) + column];
            }
        }
    }

    /// <summary>What <see cref="Gather"/> is given: rows of Width elements.</summary>
    public readonly record struct GatherArguments(FloatingView Table, ArrayView<int> Ids, int Width, int Target, ArrayView<float> Y);

    /// <summary>What <see cref="Scatter"/> is given: rows of Width elements.</summary>
    public readonly record struct ScatterArguments(ArrayView<float> Updates, ArrayView<int> Ids, int Width, ArrayView<float> Table);
}
