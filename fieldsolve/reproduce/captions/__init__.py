"""Captions replaced within their category, and linear heads trained on them: the paper's experiment on MS-COCO."""
