namespace PureQLora.Core.Tests;

/// <summary>Float64 matrix products and the data they are tested on.</summary>
internal static class MatrixReference
{
    /// <summary>op(a) · op(b) for plain matrices.</summary>
    public static double[] Product(double[] a, bool transposeA, double[] b, bool transposeB, int m, int n, int k)
    {
        double[] c = new double[m * n];
        for (int i = 0; i < m; i++)
        {
            for (int p = 0; p < k; p++)
            {
                double value = a[transposeA ? (p * m) + i : (i * k) + p];
                for (int j = 0; j < n; j++)
                {
                    c[(i * n) + j] += value * b[transposeB ? (j * k) + p : (p * n) + j];
                }
            }
        }

        return c;
    }

    public static double[] Rounded(double[] values) => Array.ConvertAll(values, v => (double)BFloat16.Round((float)v));

    /// <summary>Irregular gradients of an output, those of <see cref="WeightedSumLoss"/> as float32 has them.</summary>
    public static double[] OutputGradient(int count) => Enumerable.Range(0, count).Select(i => (double)(float)Reference.Weight(i)).ToArray();

    public static float[] Random(int count, int seed)
    {
        Random random = new(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = (random.NextSingle() * 2f) - 1f;
        }

        return values;
    }

    /// <summary>A dense matrix of any floating type with values in [−1, 1).</summary>
    public static Tensor Dense(int rows, int columns, DataType type, int seed)
    {
        Tensor tensor = Tensor.Create(new Shape(rows, columns), type);
        foreach ((int i, float value) in Random(rows * columns, seed).Index())
        {
            switch (type)
            {
                case DataType.Float32:
                    tensor.Storage.Write(i * 4, BitConverter.GetBytes(value));
                    break;
                case DataType.BFloat16:
                    tensor.Storage.Write(i * 2, BitConverter.GetBytes(((BFloat16)value).Bits));
                    break;
                default:
                    tensor.Storage.Write(i * 2, BitConverter.GetBytes((Half)value));
                    break;
            }
        }

        return tensor;
    }

    /// <summary>A quantised matrix whose codes are <c>nf4</c>, or integers of so many bits.</summary>
    public static QuantizedMatrix Quantized(int outDim, int inDim, string codes, int groupSize, bool scattered, int seed) => codes == "nf4"
        ? Booked(outDim, inDim, CodeBook.NormalFloat4, groupSize, seed)
        : Quantized(outDim, inDim, int.Parse(codes, null), groupSize, scattered, seed);

    /// <summary>A matrix of random codes of a book, with values of about [−1, 1).</summary>
    public static QuantizedMatrix Booked(int outDim, int inDim, CodeBook book, int groupSize, int seed)
    {
        Random random = new(seed);
        int size = groupSize <= 0 || groupSize > inDim ? inDim : groupSize;
        byte[] stream = new byte[((outDim * inDim) + 1) / 2];
        random.NextBytes(stream);
        float[] scales = [.. Enumerable.Range(0, outDim * ((inDim + size - 1) / size)).Select(_ => 0.5f + random.NextSingle())];
        return QuantizedMatrix.FromStream(outDim, inDim, groupSize, stream, scales, book);
    }

    /// <summary>A quantised matrix with values of about [−1, 1); with <paramref name="scattered"/> the groups are not in the order of the columns.</summary>
    public static QuantizedMatrix Quantized(int outDim, int inDim, int bits, int groupSize, bool scattered, int seed)
    {
        Random random = new(seed);
        int size = groupSize <= 0 || groupSize > inDim ? inDim : groupSize;
        int groups = (inDim + size - 1) / size;
        byte[] codes = new byte[outDim * inDim];
        byte[] zeros = new byte[outDim * groups];
        float[] scales = new float[outDim * groups];
        for (int i = 0; i < codes.Length; i++)
        {
            codes[i] = (byte)random.Next(1 << bits);
        }

        for (int i = 0; i < scales.Length; i++)
        {
            (scales[i], zeros[i]) = ((1f + random.NextSingle()) / (1 << bits), (byte)random.Next(1 << bits));
        }

        int[] index = Enumerable.Range(0, inDim).Select(j => j / size).ToArray();
        if (scattered)
        {
            random.Shuffle(index);
        }

        return QuantizedMatrix.FromCodes(outDim, inDim, bits, groupSize, codes, scales, zeros, index);
    }
}
