using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Linear layers in AWQ's GEMM layout: for a layer [out, in] <c>qweight</c> i32 [in, out/8], <c>qzeros</c> i32 [groups, out/8] and
/// <c>scales</c> f16 [groups, out]. Bits 4k … 4k + 3 of word j belong to output 8j + <see cref="Order"/>[k].
/// </summary>
internal static class AwqCheckpoint
{
    /// <summary>Of a code.</summary>
    public const int Bits = 4;

    private const int WordCodes = 8;

    /// <summary>Output of each four bits of a word, within its eight.</summary>
    private static ReadOnlySpan<int> Order => [0, 2, 4, 6, 1, 3, 5, 7];

    /// <summary>Checks types and shapes of a layer's tensors.</summary>
    /// <returns>Their names.</returns>
    /// <exception cref="UserErrorException">One does not fit.</exception>
    public static IEnumerable<string> CheckLayer(HuggingFaceCheckpoint checkpoint, AwqConfig settings, string module, int outDim, int inDim)
    {
        if (outDim % WordCodes != 0)
        {
            throw new UserErrorException($"{checkpoint.Folder}: {module} has {outDim} outputs, allowed in AWQ's layout are multiples of {WordCodes}; the checkpoint and its configuration do not belong together.");
        }

        int groupSize = settings.GroupSize == -1 ? inDim : settings.GroupSize;
        long groups = ((long)inDim + groupSize - 1) / groupSize;
        LayerTensors tensors = new(checkpoint);
        tensors.Require(module + ".qweight", [inDim, outDim / WordCodes], SafetensorsType.I32);
        tensors.Require(module + ".qzeros", [groups, outDim / WordCodes], SafetensorsType.I32);
        tensors.Require(module + ".scales", [groups, outDim], SafetensorsType.F16, SafetensorsType.BF16, SafetensorsType.F32);
        return tensors.Names;
    }

    /// <summary>Reads a layer whose tensors were checked.</summary>
    /// <exception cref="UserErrorException">A scale is not finite.</exception>
    public static QuantizedMatrix ReadLayer(HuggingFaceCheckpoint checkpoint, AwqConfig settings, string module)
    {
        (int outDim, int inDim) = LlamaTensorNames.LinearLayers(checkpoint.Config)[module];
        string name = module + ".scales";
        int groups = checked((int)checkpoint.Info(name).Shape[0]);
        float[] scales = GptqCheckpoint.ReadByRow(checkpoint, name, outDim, groups);
        byte[] codes = Unpack(checkpoint.Get(module + ".qweight").Ints, inDim, outDim);
        byte[] zeros = Unpack(checkpoint.Get(module + ".qzeros").Ints, groups, outDim);
        return QuantizedMatrix.FromCodes(outDim, inDim, Bits, settings.GroupSize, codes, scales, zeros);
    }

    /// <summary>Codes of words [rows, outDim / 8], one a byte and turned: [outDim, rows].</summary>
    public static byte[] Unpack(ReadOnlySpan<int> words, int rows, int outDim)
    {
        byte[] codes = new byte[checked(rows * outDim)];
        int width = outDim / WordCodes;
        for (int j = 0; j < width; j++)
        {
            for (int row = 0; row < rows; row++)
            {
                uint word = (uint)words[(row * width) + j];
                for (int k = 0; k < WordCodes; k++, word >>= Bits)
                {
                    codes[(((WordCodes * j) + Order[k]) * rows) + row] = (byte)(word & 15);
                }
            }
        }

        return codes;
    }
}
