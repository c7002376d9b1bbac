using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IGatherKernels
{
    /// <inheritdoc/>
    public void GatherRows(Tensor table, Tensor ids, Tensor y, bool accumulate)
    {
        ArgumentNullException.ThrowIfNull(table);
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentNullException.ThrowIfNull(y);
        CheckIds(ids, table.Shape, y.Shape);
        if (accumulate && table.DataType != DataType.Float32)
        {
            throw new ArgumentException($"Rows of {table} cannot be added, only of Float32; cast it first.", nameof(table));
        }

        _ = Count(table);
        int count = Count(y);
        if (count > 0)
        {
            _device.Launch(
                GatherKernels.Gather,
                LaunchShape.For(count, GatherKernels.Gather.GroupSize),
                new GatherKernels.GatherArguments(
                    Floating(table), Ints(ids), count / Count(ids), accumulate ? TargetMode.Add : TargetMode.Write, Floats(y)));
        }
    }

    /// <inheritdoc/>
    public void ScatterAddRows(Tensor updates, Tensor ids, Tensor table)
    {
        ArgumentNullException.ThrowIfNull(updates);
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentNullException.ThrowIfNull(table);
        CheckIds(ids, table.Shape, updates.Shape);
        _ = Count(table);
        int count = Count(updates);
        if (count > 0)
        {
            int width = count / Count(ids);
            _device.Launch(
                GatherKernels.Scatter,
                LaunchShape.For(width, GatherKernels.Scatter.GroupSize),
                new GatherKernels.ScatterArguments(Floats(updates), Ints(ids), width, Floats(table)));
        }
    }

    private static void CheckIds(Tensor ids, Shape table, Shape rows)
    {
        long width = table[0] == 0 ? 0 : table.Count / table[0];
        if (rows.Count != ids.Shape.Count * width)
        {
            throw new ArgumentException($"{rows} does not hold a row of {table} for each of the ids {ids.Shape}.", nameof(rows));
        }

        ReadOnlySpan<int> values = ReadInts(ids);
        for (int i = 0; i < values.Length; i++)
        {
            if ((uint)values[i] >= table[0])
            {
                throw new ArgumentOutOfRangeException(
                    nameof(ids), values[i], $"Id {i} names a row that {table} does not have; allowed 0 to {table[0] - 1}.");
            }
        }
    }
}
