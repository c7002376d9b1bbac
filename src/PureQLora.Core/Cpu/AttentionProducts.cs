namespace PureQLora.Core;

/// <summary>
/// The small matrix products of a tile. A tile has <see cref="Width"/> rows (queries), which are the lanes of two vectors; that makes
/// maxima, sums and masks of the softmax vertical and lets keys and values be read where they are, unpacked.
/// </summary>
/// <typeparam name="TLanes">Width.</typeparam>
/// <typeparam name="TVector">Vector of that width.</typeparam>
internal static unsafe class AttentionProducts<TLanes, TVector>
    where TLanes : struct, ILanes<TVector>
    where TVector : unmanaged
{
    /// <summary>Rows of a tile: two vectors, so that four keys fill eight accumulators and hide the latency of multiply-add.</summary>
    public static int Width => 2 * TLanes.Count;

    /// <summary>result[i, lane] = Σ over d of vectors[i, d] · columns[d, lane].</summary>
    /// <param name="vectors">[count, depth], rows <paramref name="stride"/> apart.</param>
    /// <param name="stride">Elements between rows.</param>
    /// <param name="count">Keys.</param>
    /// <param name="depth">Dimension of a head.</param>
    /// <param name="columns">[depth, Width]</param>
    /// <param name="result">[count, Width]</param>
    public static void Dots(float* vectors, long stride, int count, int depth, float* columns, float* result)
    {
        int half = TLanes.Count;
        int i = 0;
        for (; i + 4 <= count; i += 4)
        {
            float* v0 = vectors + (i * stride);
            float* v1 = v0 + stride;
            float* v2 = v1 + stride;
            float* v3 = v2 + stride;
            TVector a00 = default, a01 = default, a10 = default, a11 = default, a20 = default, a21 = default, a30 = default, a31 = default;
            float* column = columns;
            for (int d = 0; d < depth; d++, column += 2 * half)
            {
                (TVector x, TVector y) = (TLanes.Load(column), TLanes.Load(column + half));
                TVector b = TLanes.Broadcast(v0[d]);
                a00 = TLanes.MultiplyAdd(b, x, a00);
                a01 = TLanes.MultiplyAdd(b, y, a01);
                b = TLanes.Broadcast(v1[d]);
                a10 = TLanes.MultiplyAdd(b, x, a10);
                a11 = TLanes.MultiplyAdd(b, y, a11);
                b = TLanes.Broadcast(v2[d]);
                a20 = TLanes.MultiplyAdd(b, x, a20);
                a21 = TLanes.MultiplyAdd(b, y, a21);
                b = TLanes.Broadcast(v3[d]);
                a30 = TLanes.MultiplyAdd(b, x, a30);
                a31 = TLanes.MultiplyAdd(b, y, a31);
            }

            float* target = result + (i * 2 * half);
            TLanes.Store(a00, target);
            TLanes.Store(a01, target + half);
            TLanes.Store(a10, target + (2 * half));
            TLanes.Store(a11, target + (3 * half));
            TLanes.Store(a20, target + (4 * half));
            TLanes.Store(a21, target + (5 * half));
            TLanes.Store(a30, target + (6 * half));
            TLanes.Store(a31, target + (7 * half));
        }

        for (; i < count; i++)
        {
            float* v = vectors + (i * stride);
            TVector a0 = default, a1 = default;
            float* column = columns;
            for (int d = 0; d < depth; d++, column += 2 * half)
            {
                TVector b = TLanes.Broadcast(v[d]);
                a0 = TLanes.MultiplyAdd(b, TLanes.Load(column), a0);
                a1 = TLanes.MultiplyAdd(b, TLanes.Load(column + half), a1);
            }

            TLanes.Store(a0, result + (i * 2 * half));
            TLanes.Store(a1, result + (i * 2 * half) + half);
        }
    }

    /// <summary>columns[d, lane] = columns[d, lane] · factors[lane] + Σ over i of vectors[i, d] · weights[i, lane].</summary>
    /// <param name="vectors">[count, depth], rows <paramref name="stride"/> apart.</param>
    /// <param name="stride">Elements between rows.</param>
    /// <param name="count">Keys.</param>
    /// <param name="depth">Dimension of a head.</param>
    /// <param name="weights">[count, Width]</param>
    /// <param name="factors">[Width]</param>
    /// <param name="columns">[depth, Width]</param>
    public static void Combine(float* vectors, long stride, int count, int depth, float* weights, float* factors, float* columns)
    {
        int half = TLanes.Count;
        (TVector f0, TVector f1) = (TLanes.Load(factors), TLanes.Load(factors + half));
        int d = 0;
        for (; d + 4 <= depth; d += 4)
        {
            float* c = columns + (d * 2 * half);
            TVector a00 = TLanes.Multiply(TLanes.Load(c), f0);
            TVector a01 = TLanes.Multiply(TLanes.Load(c + half), f1);
            TVector a10 = TLanes.Multiply(TLanes.Load(c + (2 * half)), f0);
            TVector a11 = TLanes.Multiply(TLanes.Load(c + (3 * half)), f1);
            TVector a20 = TLanes.Multiply(TLanes.Load(c + (4 * half)), f0);
            TVector a21 = TLanes.Multiply(TLanes.Load(c + (5 * half)), f1);
            TVector a30 = TLanes.Multiply(TLanes.Load(c + (6 * half)), f0);
            TVector a31 = TLanes.Multiply(TLanes.Load(c + (7 * half)), f1);
            float* v = vectors + d;
            float* w = weights;
            for (int i = 0; i < count; i++, v += stride, w += 2 * half)
            {
                (TVector x, TVector y) = (TLanes.Load(w), TLanes.Load(w + half));
                TVector b = TLanes.Broadcast(v[0]);
                a00 = TLanes.MultiplyAdd(b, x, a00);
                a01 = TLanes.MultiplyAdd(b, y, a01);
                b = TLanes.Broadcast(v[1]);
                a10 = TLanes.MultiplyAdd(b, x, a10);
                a11 = TLanes.MultiplyAdd(b, y, a11);
                b = TLanes.Broadcast(v[2]);
                a20 = TLanes.MultiplyAdd(b, x, a20);
                a21 = TLanes.MultiplyAdd(b, y, a21);
                b = TLanes.Broadcast(v[3]);
                a30 = TLanes.MultiplyAdd(b, x, a30);
                a31 = TLanes.MultiplyAdd(b, y, a31);
            }

            TLanes.Store(a00, c);
            TLanes.Store(a01, c + half);
            TLanes.Store(a10, c + (2 * half));
            TLanes.Store(a11, c + (3 * half));
            TLanes.Store(a20, c + (4 * half));
            TLanes.Store(a21, c + (5 * half));
            TLanes.Store(a30, c + (6 * half));
            TLanes.Store(a31, c + (7 * half));
        }

        for (; d < depth; d++)
        {
            float* c = columns + (d * 2 * half);
            (TVector a0, TVector a1) = (TLanes.Multiply(TLanes.Load(c), f0), TLanes.Multiply(TLanes.Load(c + half), f1));
            for (int i = 0; i < count; i++)
            {
                TVector b = TLanes.Broadcast(vectors[(i * stride) + d]);
                a0 = TLanes.MultiplyAdd(b, TLanes.Load(weights + (i * 2 * half)), a0);
                a1 = TLanes.MultiplyAdd(b, TLanes.Load(weights + (i * 2 * half) + half), a1);
            }

            TLanes.Store(a0, c);
            TLanes.Store(a1, c + half);
        }
    }

    /// <summary>sums[i, d] += Σ over r of weights[i, r] · rows[r, d].</summary>
    /// <param name="weights">[count, Width]</param>
    /// <param name="count">Keys.</param>
    /// <param name="rows">[rowCount, padded]</param>
    /// <param name="rowCount">Rows in use, at most Width.</param>
    /// <param name="padded">Dimension of a head, rounded up to a multiple of Width.</param>
    /// <param name="sums">[count, padded]</param>
    public static void AddTransposed(float* weights, int count, float* rows, int rowCount, int padded, float* sums)
    {
        int half = TLanes.Count;
        int i = 0;
        for (; i + 4 <= count; i += 4)
        {
            float* w = weights + (i * 2 * half);
            for (int d = 0; d < padded; d += 2 * half)
            {
                float* s0 = sums + ((long)i * padded) + d;
                float* s1 = s0 + padded;
                float* s2 = s1 + padded;
                float* s3 = s2 + padded;
                (TVector a00, TVector a01) = (TLanes.Load(s0), TLanes.Load(s0 + half));
                (TVector a10, TVector a11) = (TLanes.Load(s1), TLanes.Load(s1 + half));
                (TVector a20, TVector a21) = (TLanes.Load(s2), TLanes.Load(s2 + half));
                (TVector a30, TVector a31) = (TLanes.Load(s3), TLanes.Load(s3 + half));
                float* row = rows + d;
                for (int r = 0; r < rowCount; r++, row += padded)
                {
                    (TVector x, TVector y) = (TLanes.Load(row), TLanes.Load(row + half));
                    TVector b = TLanes.Broadcast(w[r]);
                    a00 = TLanes.MultiplyAdd(b, x, a00);
                    a01 = TLanes.MultiplyAdd(b, y, a01);
                    b = TLanes.Broadcast(w[(2 * half) + r]);
                    a10 = TLanes.MultiplyAdd(b, x, a10);
                    a11 = TLanes.MultiplyAdd(b, y, a11);
                    b = TLanes.Broadcast(w[(4 * half) + r]);
                    a20 = TLanes.MultiplyAdd(b, x, a20);
                    a21 = TLanes.MultiplyAdd(b, y, a21);
                    b = TLanes.Broadcast(w[(6 * half) + r]);
                    a30 = TLanes.MultiplyAdd(b, x, a30);
                    a31 = TLanes.MultiplyAdd(b, y, a31);
                }

                TLanes.Store(a00, s0);
                TLanes.Store(a01, s0 + half);
                TLanes.Store(a10, s1);
                TLanes.Store(a11, s1 + half);
                TLanes.Store(a20, s2);
                TLanes.Store(a21, s2 + half);
                TLanes.Store(a30, s3);
                TLanes.Store(a31, s3 + half);
            }
        }

        for (; i < count; i++)
        {
            float* w = weights + (i * 2 * half);
            for (int d = 0; d < padded; d += half)
            {
                float* s = sums + ((long)i * padded) + d;
                TVector a = TLanes.Load(s);
                for (int r = 0; r < rowCount; r++)
                {
                    a = TLanes.MultiplyAdd(TLanes.Broadcast(w[r]), TLanes.Load(rows + ((long)r * padded) + d), a);
                }

                TLanes.Store(a, s);
            }
        }
    }
}
