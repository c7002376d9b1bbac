using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>A JSON array of arrays of whole numbers: token ids or labels, a row each.</summary>
public static class TokenIdFile
{
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 4 };

    /// <summary>Reads the rows.</summary>
    /// <param name="path">The file.</param>
    /// <param name="lowest">Smallest value allowed: 0 for ids, −100 for labels.</param>
    /// <param name="vocabulary">Values must be below this.</param>
    /// <exception cref="UserErrorException">Not such a file, no row, an empty row, or a value out of range.</exception>
    public static IReadOnlyList<int[]> Read(string path, int lowest, int vocabulary)
    {
        byte[] bytes = DataFile.ReadBytes(path);
        List<int[]> rows = [];
        try
        {
            using JsonDocument document = JsonDocument.Parse(bytes, Options);
            if (document.RootElement.ValueKind != JsonValueKind.Array)
            {
                throw new UserErrorException($"{path} is no JSON array of rows of token ids, such as [[1, 15, 27], [1, 9, 4]].");
            }

            foreach (JsonElement row in document.RootElement.EnumerateArray())
            {
                rows.Add(ReadRow(row, $"{path}, row {rows.Count + 1}", lowest, vocabulary));
            }
        }
        catch (JsonException exception)
        {
            throw new UserErrorException($"{path} is not valid JSON (line {exception.LineNumber + 1}); it must be an array of rows such as [[1, 15, 27], [1, 9, 4]].", exception);
        }

        return rows.Count > 0 ? rows : throw new UserErrorException($"{path} holds no row; give at least one row of token ids.");
    }

    /// <summary>The rows' common length.</summary>
    /// <exception cref="UserErrorException">Rows differ in length.</exception>
    public static int CommonLength(IReadOnlyList<int[]> rows, string path)
    {
        ArgumentNullException.ThrowIfNull(rows);
        for (int i = 1; i < rows.Count; i++)
        {
            if (rows[i].Length != rows[0].Length)
            {
                throw new UserErrorException($"{path}: row {i + 1} has {rows[i].Length} values and row 1 has {rows[0].Length}; all rows must be of one length.");
            }
        }

        return rows[0].Length;
    }

    private static int[] ReadRow(JsonElement row, string location, int lowest, int vocabulary)
    {
        if (row.ValueKind != JsonValueKind.Array || row.GetArrayLength() == 0)
        {
            throw new UserErrorException($"{location} is not an array with at least one whole number.");
        }

        int[] values = new int[row.GetArrayLength()];
        int count = 0;
        foreach (JsonElement element in row.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Number || !element.TryGetInt32(out int value) || !(value == -100 ? lowest == -100 : value >= 0 && value < vocabulary))
            {
                throw new UserErrorException(
                    $"{location}: value {count + 1} is {element.GetRawText()}, allowed are whole numbers from 0 to {vocabulary - 1}{(lowest == -100 ? ", and −100 for no label" : "")}.");
            }

            values[count++] = value;
        }

        return values;
    }
}
