using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void BinaryForward(BinaryKind kind, Tensor a, Tensor b, Tensor y) =>
        TensorPrimitives.Add(a.Floats, b.Floats, y.Floats);

    /// <inheritdoc/>
    public void BinaryBackward(BinaryKind kind, Tensor dy, Tensor a, Tensor b, Tensor? da, Tensor? db)
    {
        if (da is not null)
        {
            AddScaled(dy, 1f, da);
        }

        if (db is not null)
        {
            AddScaled(dy, 1f, db);
        }
    }

    /// <inheritdoc/>
    public void Affine(Tensor x, float scale, float shift, Tensor y) => throw new NotSupportedException();

    /// <inheritdoc/>
    public void CopySlice(Tensor source, long sourceStart, Tensor destination, long destinationStart, long length, int axis, bool accumulate)
    {
        (long outer, long extent, long inner) = source.Shape.Around(axis);
        (_, long destinationExtent, _) = destination.Shape.Around(axis);
        float* s = Floats(source);
        float* d = Floats(destination);
        for (long o = 0; o < outer; o++)
        {
            long bytes = length * inner * 4;
            Buffer.MemoryCopy(s + (((o * extent) + sourceStart) * inner), d + (((o * destinationExtent) + destinationStart) * inner), bytes, bytes);
        }
    }

    /// <inheritdoc/>
    public void GatherRows(Tensor table, Tensor ids, Tensor y)
    {
        int width = (int)table.Shape.Columns;
        int* id = Ints(ids);
        for (long i = 0; i < ids.Shape.Count; i++)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)id[i], (uint)table.Shape[0]);
            FloatConversion.ToFloat32(table.Host() + ((long)id[i] * width * table.DataType.Size()), table.DataType, width, Floats(y) + (i * width));
        }
    }

    /// <inheritdoc/>
    public void ScatterAddRows(Tensor x, Tensor ids, Tensor table)
    {
        int width = (int)table.Shape.Columns;
        int* id = Ints(ids);
        for (long i = 0; i < ids.Shape.Count; i++)
        {
            Span<float> row = new(Floats(table) + ((long)id[i] * width), width);
            TensorPrimitives.Add(row, new ReadOnlySpan<float>(Floats(x) + (i * width), width), row);
        }
    }

    /// <inheritdoc/>
    public void Cast(Tensor x, Tensor y)
    {
        if (y.DataType == DataType.Float32)
        {
            FloatConversion.ToFloat32(x.Host(), x.DataType, x.Shape.Count, Floats(y));
        }
        else
        {
            FloatConversion.ToBFloat16(Floats(x), x.Shape.Count, (ushort*)y.Host());
        }
    }

    /// <inheritdoc/>
    public void AdamWStep(
        Tensor parameter, Tensor grad, Tensor firstMoment, Tensor secondMoment,
        double learningRate, double beta1, double beta2, double epsilon, double weightDecay, int step, float gradientScale)
    {
        Span<float> p = parameter.Floats, g = grad.Floats, m = firstMoment.Floats, v = secondMoment.Floats;
        double c1 = 1 - Math.Pow(beta1, step), c2 = Math.Sqrt(1 - Math.Pow(beta2, step));
        float size = (float)(learningRate / c1), keep = (float)(1 - (learningRate * weightDecay));
        for (int i = 0; i < p.Length; i++)
        {
            float gradient = g[i] * gradientScale;
            m[i] += (gradient - m[i]) * (float)(1 - beta1);
            v[i] = (v[i] * (float)beta2) + (gradient * gradient * (float)(1 - beta2));
            float denominator = (float)(MathF.Sqrt(v[i]) / c2) + (float)epsilon;
            p[i] = (p[i] * keep) - (size * m[i] / denominator);
        }
    }

    /// <inheritdoc/>
    public double SumOfSquares(Tensor x)
    {
        double sum = 0;
        foreach (float value in x.Floats)
        {
            sum += (double)value * value;
        }

        return sum;
    }
}
