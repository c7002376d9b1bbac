namespace PureQLora.Training;

/// <summary>What the records of a training file hold.</summary>
public enum DataFormat
{
    /// <summary>Told by the fields of the first record; a file that ends in <c>.txt</c> is <see cref="PlainText"/>.</summary>
    Auto,

    /// <summary><c>question</c>, <c>answer</c> (ending in <c>#### n</c>); also <c>input</c>, <c>target</c>.</summary>
    Gsm8k,

    /// <summary><c>prompt</c>, <c>completion</c>.</summary>
    PromptCompletion,

    /// <summary><c>query</c>, <c>response</c>, as MetaMathQA.</summary>
    QueryResponse,

    /// <summary><c>instruction</c>, <c>output</c> and perhaps <c>input</c>, as MathInstruct and Alpaca.</summary>
    Instruction,

    /// <summary><c>text</c>: every token is supervised.</summary>
    Text,

    /// <summary><c>input_ids</c> and perhaps <c>labels</c>, taken as they are.</summary>
    Tokenized,

    /// <summary>No JSON: one text, or several between lines <c>&lt;|endoftext|&gt;</c>.</summary>
    PlainText,
}
