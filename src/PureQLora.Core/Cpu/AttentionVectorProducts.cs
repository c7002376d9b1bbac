namespace PureQLora.Core;

/// <summary>
/// Products of a few rows with a tile of keys, as in decoding, where lanes run along the head: four rows share each load of a key,
/// a single row takes four keys at once.
/// </summary>
/// <typeparam name="TLanes">Width.</typeparam>
/// <typeparam name="TVector">Vector of that width.</typeparam>
internal static unsafe class AttentionVectorProducts<TLanes, TVector>
    where TLanes : struct, ILanes<TVector>
    where TVector : unmanaged
{
    /// <summary>scores[r, i] = Σ over d of rows[r, d] · keys[i, d].</summary>
    /// <param name="rows">[rowCount, depth]</param>
    /// <param name="rowCount">Rows.</param>
    /// <param name="depth">Dimension of a head.</param>
    /// <param name="keys">[count, depth], rows <paramref name="stride"/> apart.</param>
    /// <param name="stride">Elements between keys.</param>
    /// <param name="count">Keys.</param>
    /// <param name="scores">[rowCount, <paramref name="tile"/>]</param>
    /// <param name="tile">Elements between rows of scores.</param>
    public static void Dots(float* rows, int rowCount, int depth, float* keys, long stride, int count, float* scores, int tile)
    {
        int r = 0;
        for (; r + 4 <= rowCount; r += 4)
        {
            for (int i = 0; i < count; i++)
            {
                Four(keys + (i * stride), rows + (r * depth), depth, depth, scores + (r * tile) + i, tile);
            }
        }

        for (; r < rowCount; r++)
        {
            int i = 0;
            for (; i + 4 <= count; i += 4)
            {
                Four(rows + (r * depth), keys + (i * stride), stride, depth, scores + (r * tile) + i, 1);
            }

            for (; i < count; i++)
            {
                scores[(r * tile) + i] = One(rows + (r * depth), keys + (i * stride), depth);
            }
        }
    }

    /// <summary>sums[r, d] = sums[r, d] · factors[r] + Σ over i of weights[r, i] · values[i, d].</summary>
    /// <param name="weights">[rowCount, <paramref name="tile"/>]</param>
    /// <param name="tile">Elements between rows of weights.</param>
    /// <param name="rowCount">Rows.</param>
    /// <param name="factors">[rowCount]</param>
    /// <param name="values">[count, depth], rows <paramref name="stride"/> apart.</param>
    /// <param name="stride">Elements between values.</param>
    /// <param name="count">Keys.</param>
    /// <param name="depth">Dimension of a head.</param>
    /// <param name="sums">[rowCount, depth]</param>
    public static void Combine(float* weights, int tile, int rowCount, float* factors, float* values, long stride, int count, int depth, float* sums)
    {
        int r = 0;
        for (; r + 4 <= rowCount; r += 4)
        {
            CombineFour(weights + (r * tile), tile, factors + r, values, stride, count, depth, sums + (r * depth));
        }

        for (; r < rowCount; r++)
        {
            CombineOne(weights + (r * tile), factors[r], values, stride, count, depth, sums + (r * depth));
        }
    }

    /// <summary>results[j · spacing] = Σ over d of vector[d] · matrix[j, d] for four j.</summary>
    private static void Four(float* vector, float* matrix, long stride, int depth, float* results, int spacing)
    {
        float* m1 = matrix + stride;
        float* m2 = m1 + stride;
        float* m3 = m2 + stride;
        TVector a0 = default, a1 = default, a2 = default, a3 = default;
        int d = 0;
        for (; d + TLanes.Count <= depth; d += TLanes.Count)
        {
            TVector x = TLanes.Load(vector + d);
            a0 = TLanes.MultiplyAdd(x, TLanes.Load(matrix + d), a0);
            a1 = TLanes.MultiplyAdd(x, TLanes.Load(m1 + d), a1);
            a2 = TLanes.MultiplyAdd(x, TLanes.Load(m2 + d), a2);
            a3 = TLanes.MultiplyAdd(x, TLanes.Load(m3 + d), a3);
        }

        (float s0, float s1, float s2, float s3) = (TLanes.Sum(a0), TLanes.Sum(a1), TLanes.Sum(a2), TLanes.Sum(a3));
        for (; d < depth; d++)
        {
            s0 += vector[d] * matrix[d];
            s1 += vector[d] * m1[d];
            s2 += vector[d] * m2[d];
            s3 += vector[d] * m3[d];
        }

        results[0] = s0;
        results[spacing] = s1;
        results[2 * spacing] = s2;
        results[3 * spacing] = s3;
    }

    private static float One(float* vector, float* other, int depth)
    {
        TVector a = default;
        int d = 0;
        for (; d + TLanes.Count <= depth; d += TLanes.Count)
        {
            a = TLanes.MultiplyAdd(TLanes.Load(vector + d), TLanes.Load(other + d), a);
        }

        float sum = TLanes.Sum(a);
        for (; d < depth; d++)
        {
            sum += vector[d] * other[d];
        }

        return sum;
    }

    private static void CombineFour(float* weights, int tile, float* factors, float* values, long stride, int count, int depth, float* sums)
    {
        float* w1 = weights + tile;
        float* w2 = w1 + tile;
        float* w3 = w2 + tile;
        int d = 0;
        for (; d + TLanes.Count <= depth; d += TLanes.Count)
        {
            float* s = sums + d;
            TVector a0 = TLanes.Multiply(TLanes.Load(s), TLanes.Broadcast(factors[0]));
            TVector a1 = TLanes.Multiply(TLanes.Load(s + depth), TLanes.Broadcast(factors[1]));
            TVector a2 = TLanes.Multiply(TLanes.Load(s + (2 * depth)), TLanes.Broadcast(factors[2]));
            TVector a3 = TLanes.Multiply(TLanes.Load(s + (3 * depth)), TLanes.Broadcast(factors[3]));
            float* value = values + d;
            for (int i = 0; i < count; i++, value += stride)
            {
                TVector x = TLanes.Load(value);
                a0 = TLanes.MultiplyAdd(TLanes.Broadcast(weights[i]), x, a0);
                a1 = TLanes.MultiplyAdd(TLanes.Broadcast(w1[i]), x, a1);
                a2 = TLanes.MultiplyAdd(TLanes.Broadcast(w2[i]), x, a2);
                a3 = TLanes.MultiplyAdd(TLanes.Broadcast(w3[i]), x, a3);
            }

            TLanes.Store(a0, s);
            TLanes.Store(a1, s + depth);
            TLanes.Store(a2, s + (2 * depth));
            TLanes.Store(a3, s + (3 * depth));
        }

        for (int row = 0; d < depth && row < 4; row++)
        {
            CombineRest(weights + (row * tile), factors[row], values, stride, count, d, depth, sums + (row * depth));
        }
    }

    private static void CombineOne(float* weights, float factor, float* values, long stride, int count, int depth, float* sums)
    {
        int width = TLanes.Count;
        TVector f = TLanes.Broadcast(factor);
        int d = 0;
        for (; d + (4 * width) <= depth; d += 4 * width)
        {
            float* s = sums + d;
            TVector a0 = TLanes.Multiply(TLanes.Load(s), f);
            TVector a1 = TLanes.Multiply(TLanes.Load(s + width), f);
            TVector a2 = TLanes.Multiply(TLanes.Load(s + (2 * width)), f);
            TVector a3 = TLanes.Multiply(TLanes.Load(s + (3 * width)), f);
            float* value = values + d;
            for (int i = 0; i < count; i++, value += stride)
            {
                TVector w = TLanes.Broadcast(weights[i]);
                a0 = TLanes.MultiplyAdd(w, TLanes.Load(value), a0);
                a1 = TLanes.MultiplyAdd(w, TLanes.Load(value + width), a1);
                a2 = TLanes.MultiplyAdd(w, TLanes.Load(value + (2 * width)), a2);
                a3 = TLanes.MultiplyAdd(w, TLanes.Load(value + (3 * width)), a3);
            }

            TLanes.Store(a0, s);
            TLanes.Store(a1, s + width);
            TLanes.Store(a2, s + (2 * width));
            TLanes.Store(a3, s + (3 * width));
        }

        for (; d + width <= depth; d += width)
        {
            TVector a = TLanes.Multiply(TLanes.Load(sums + d), f);
            for (int i = 0; i < count; i++)
            {
                a = TLanes.MultiplyAdd(TLanes.Broadcast(weights[i]), TLanes.Load(values + (i * stride) + d), a);
            }

            TLanes.Store(a, sums + d);
        }

        CombineRest(weights, factor, values, stride, count, d, depth, sums);
    }

    private static void CombineRest(float* weights, float factor, float* values, long stride, int count, int start, int depth, float* sums)
    {
        for (int d = start; d < depth; d++)
        {
            float sum = sums[d] * factor;
            for (int i = 0; i < count; i++)
            {
                sum += weights[i] * values[(i * stride) + d];
            }

            sums[d] = sum;
        }
    }
}
