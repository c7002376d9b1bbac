using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Columns that one piece of a scatter owns: repeated ids then never meet in two threads, and add up in order.</summary>
    private const int ScatterColumns = 64;

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

        long width = RowElements(table.Shape);
        GatherBody body = new(table.Host(), table.DataType, Ints(ids), width, Floats(y), accumulate);
        _pool.For(width == 0 ? 0 : ids.Shape.Count, RowGrain(width), ref body);
    }

    /// <inheritdoc/>
    public void ScatterAddRows(Tensor updates, Tensor ids, Tensor table)
    {
        ArgumentNullException.ThrowIfNull(updates);
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentNullException.ThrowIfNull(table);
        CheckIds(ids, table.Shape, updates.Shape);
        long width = RowElements(table.Shape);
        ScatterAddBody body = new(Floats(updates), Ints(ids), ids.Shape.Count, width, Floats(table));
        _pool.For((width + ScatterColumns - 1) / ScatterColumns, Math.Max(1, RowGrain(ids.Shape.Count * ScatterColumns)), ref body);
    }

    private static long RowElements(Shape table) => table[0] == 0 ? 0 : table.Count / table[0];

    private static void CheckIds(Tensor ids, Shape table, Shape rows)
    {
        if (rows.Count != ids.Shape.Count * RowElements(table))
        {
            throw new ArgumentException($"{rows} does not hold a row of {table} for each of the ids {ids.Shape}.", nameof(rows));
        }

        int* values = Ints(ids);
        for (long i = 0; i < ids.Shape.Count; i++)
        {
            if ((uint)values[i] >= table[0])
            {
                throw new ArgumentOutOfRangeException(
                    nameof(ids), values[i], $"Id {i} names a row that {table} does not have; allowed 0 to {table[0] - 1}.");
            }
        }
    }

    private readonly struct GatherBody(byte* table, DataType type, int* ids, long width, float* y, bool accumulate) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                byte* source = table + (ids[i] * width * type.Size());
                float* target = y + (i * width);
                if (accumulate)
                {
                    CopyRun(source, (byte*)target, width * sizeof(float), accumulate: true);
                }
                else
                {
                    FloatConversion.ToFloat32(source, type, width, target);
                }
            }
        }
    }

    private readonly struct ScatterAddBody(float* updates, int* ids, long count, long width, float* table) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long block = start; block < end; block++)
            {
                long column = block * ScatterColumns;
                int length = (int)Math.Min(ScatterColumns, width - column);
                for (long i = 0; i < count; i++)
                {
                    Span<float> sum = new(table + (ids[i] * width) + column, length);
                    TensorPrimitives.Add(sum, new ReadOnlySpan<float>(updates + (i * width) + column, length), sum);
                }
            }
        }
    }
}
